"""Input files from texts with places for the structure, for engines that ASE writes none for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

PLACES = ("cell", "a", "b", "c", "atoms", "positions")
"""What a text may have in braces, without a dollar before it."""


@dataclass
class Template:
    """What `template` makes."""

    inputs: Mapping[str, str]
    structure: str = ""
    format: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    directory: Path = Path()

    def write_input(self, atoms: Atoms, *_: object, **__: object) -> None:
        """Write them all."""
        lines = [f"{each:.15f}" for each in np.append(atoms.cell.array, atoms.positions)]
        rows = [" ".join(lines[at : at + 3]) for at in range(0, len(lines), 3)]
        a, b, c, *positions = rows
        named = zip(atoms.get_chemical_symbols(), positions, strict=True)
        said = {
            "cell": "\n".join((a, b, c)),
            "a": a,
            "b": b,
            "c": c,
            "atoms": "\n".join(f"{symbol} {place}" for symbol, place in named),
            "positions": "\n".join(positions),
        }
        for name, text in self.inputs.items():
            filled = re.sub(rf"(?<!\$){{({'|'.join(PLACES)})}}", lambda match: said[match[1]], text)
            (Path(self.directory) / name).write_text(filled)
        if self.structure:
            path = Path(self.directory) / self.structure
            ase.io.write(path, atoms, format=self.format or None, **self.options)


def template(
    inputs: Mapping[str, str],
    structure: str = "",
    format: str = "",  # noqa: A002 - as ASE calls it
    options: Mapping[str, object] | None = None,
) -> Template:
    """Make a writer of input files, as `IpiParentSpec` takes it.

    Parameters
    ----------
    inputs
        Text by the name of its file. In each ``{a}``, ``{b}``, ``{c}`` become the vectors of the
        cell, ``{cell}`` all three in a line each, ``{atoms}`` a line of symbol and position for
        each atom, ``{positions}`` the same without symbols; in Å. ``{name}`` becomes the name of
        the socket later.
    structure
        File that ASE writes the structure to; empty: none.
    format
        Of that file, as `ase.io.write` knows it; empty: as the name says.
    options
        Of that format, as ``{"specorder": ["Al", "H"], "masses": True}`` of ``lammps-data``.

    Raises
    ------
    ValueError
        If nothing is to be written, or a format is named for no file.
    """
    if not inputs:
        raise ValueError("`inputs` is empty but must hold the text of an input file at least")
    if not structure and (format or options):
        raise ValueError(
            f"`format` is {format!r} and `options` are {options} but `structure` names no file"
        )
    return Template(dict(inputs), structure, format, dict(options or {}))
