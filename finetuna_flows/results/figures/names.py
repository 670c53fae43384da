"""What figures there are, to be known without drawing any."""

from __future__ import annotations

from enum import StrEnum

FORMATS = ("pdf", "png", "svg")
"""Suffixes of files that can be written."""


class FigureName(StrEnum):
    """Kinds of figures, by what they are called on the command line and in the names of files."""

    ACCURACY = "accuracy"
    SYSTEMS = "systems"
    SCF_CYCLES = "scf-cycles"
    SCF_CYCLES_ABSOLUTE = "scf-cycles-absolute"
    WALL_TIME = "wall-time"
    WALL_TIME_PARTS = "wall-time-parts"
    FORCE_ERROR = "force-error"
    DETAIL = "detail"
    PATHS = "paths"
