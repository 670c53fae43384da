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

VARIABLES = ("VASP_COMMAND", "ASE_VASP_COMMAND")
"""Asked in this order where the settings say nothing."""


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
        if not command:
            continue
        words = shlex.split(os.path.expandvars(command))
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


def needs_potcar(command: Sequence[str]) -> bool:
    """Whether the program reads POTCAR: one in Python is a stand-in, which does not."""
    return not any(re.search(r"\.py\b", word) for word in command)
