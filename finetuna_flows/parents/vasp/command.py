"""How VASP is started on this machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from finetuna_flows.errors import ParentError
from finetuna_flows.settings import PREFIX, Settings
from finetuna_flows.vasp.level import STAND_IN

VARIABLES = ("VASP_COMMAND", "ASE_VASP_COMMAND")
"""Asked in this order where the settings say nothing."""
SAID_AT_THE_BEGINNING = 1000
"""Characters of a file in which it would say what it is."""


def vasp_command() -> list[str]:
    """Words of the command that starts VASP in the directory where it is given.

    Raises
    ------
    ParentError
        If none is set, or its first word is no program here.
    """
    found = {f"{PREFIX}VASP_COMMAND": Settings().vasp_command}
    found |= {name: os.environ.get(name) for name in VARIABLES}
    for name, command in found.items():
        if not command or not command.strip():
            continue
        try:
            words = shlex.split(os.path.expandvars(command))
        except ValueError as exc:
            raise ParentError(f"{name} is {command!r}, which no shell could read: {exc}") from exc
        if not words:
            raise ParentError(f"{name} is {command!r}, of which nothing is left; mend it")
        for word in words:
            if "/" in word and not word.startswith(("-", "/")) and Path(word).exists():
                raise ParentError(
                    f"{name} is {command!r} but {word!r} is relative, and VASP runs in folders of "
                    f"its own; write {Path(word).absolute()}"
                )
        if shutil.which(words[0]) is None:
            raise ParentError(
                f"{name} is {command!r} but {words[0]!r} is no program here; mend it, or load the "
                "module that brings it"
            )
        return words
    raise ParentError(
        f"no command starts VASP; set {' or '.join(VARIABLES)}, for example "
        "VASP_COMMAND='mpirun -n 16 vasp_std'"
    )


def is_stand_in(command: Sequence[str]) -> bool:
    """Whether a Python file in the command says of itself that it stands in for VASP.

    Such a program needs no POTCAR, and its labels are of another level of theory.
    """
    files = [Path(path) for word in command for path in re.findall(r"/\S+\.py\b", word)]
    return any(STAND_IN in _beginning(file) for file in files if file.is_file())


def _beginning(file: Path) -> str:
    with file.open(errors="replace") as text:
        return text.read(SAID_AT_THE_BEGINNING)
