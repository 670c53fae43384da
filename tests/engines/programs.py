"""Where `tests/engines/install.sh` has put what cannot be had from Debian."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".engines" / "bin"


def program(name: str) -> str:
    """Path of a program, of that folder or of PATH; its name where there is none."""
    own = FOLDER / name
    return str(own) if own.exists() else shutil.which(name) or name


def needs(*names: str) -> list[pytest.MarkDecorator]:
    """The marks of tests of these programs."""
    lacking = [name for name in names if shutil.which(program(name)) is None]
    reason = f"there is no {' and no '.join(lacking)}; make engines-up installs it"
    return [pytest.mark.engines, pytest.mark.skipif(bool(lacking), reason=reason)]
