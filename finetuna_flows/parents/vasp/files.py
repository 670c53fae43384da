"""What VASP left on disk about labels, against which standard output is checked."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from finetuna_flows.errors import ParentError
from finetuna_flows.vasp.calculation import FiledStep, read_calculation
from finetuna_flows.vasp.table import HEADING, LEARNED, number, read_forces

OUTCAR, VASPRUN = "OUTCAR", "vasprun.xml"

TABLE = re.compile(
    rf"POSITION +{re.escape(HEADING)}(?! *{re.escape(LEARNED)})[^\n]*\n -+\n(?P<rows>.*?)\n -+\n.*?"
    r"free  energy   TOTEN  = *(?P<free>\S+) eV.*?"
    r"energy\(sigma->0\) = *(?P<zero>\S+)",
    re.DOTALL,
)
"""Of one ionic step in OUTCAR; the two spaces tell it from an electronic one."""
END_OF_STEP = "LOOP+:"
LONGEST_STEP = 20_000_000
"""Characters of OUTCAR that are kept in wait for the end of an ionic step."""


class Outcar:
    """OUTCAR while it is written: hands out every ionic step once it is complete.

    Parameters
    ----------
    path
        Need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = ""
        self._read = 0
        self._found = self._ended = 0

    @property
    def unread(self) -> int:
        """Ionic steps that OUTCAR has ended so far, but whose forces were not found in it."""
        return max(0, self._ended - self._found)

    def new_steps(self) -> list[FiledStep]:
        """Ionic steps that have become complete since the last call.

        Raises
        ------
        ParentError
            If one holds something else than numbers.
        """
        if self._path.exists():
            with self._path.open(errors="replace") as file:
                file.seek(self._read)
                new, last = file.read(), self._text[1 - len(END_OF_STEP) :]
                self._ended += (last + new).count(END_OF_STEP)
                self._text += new
                self._read = file.tell()
        steps: list[FiledStep] = []
        end = 0
        for match in TABLE.finditer(self._text):
            if "\n" not in self._text[match.end() :]:
                break  # the last number may be half written
            try:
                table = read_forces(match["rows"].splitlines())
                zero, free = number(match["zero"]), number(match["free"])
            except ValueError as exc:
                raise ParentError(
                    f"{self._path} holds an ionic step without numbers: {exc}"
                ) from exc
            steps.append(FiledStep(zero, free, table[:, :3], table[:, 3:]))
            end = match.end()
        self._found += len(steps)
        start = self._text.rfind("POSITION  ", end)
        self._text = self._text[end if start < 0 else start :][-LONGEST_STEP:]
        return steps


def read_last_step(path: Path) -> FiledStep:
    """The last ionic step of a complete vasprun.xml.

    Raises
    ------
    ParentError
        If the file is not there, is cut off, or holds no step with energies and forces.
    """
    try:
        calculations = ElementTree.parse(path).getroot().findall("calculation")  # noqa: S314
    except FileNotFoundError as exc:
        raise ParentError(f"VASP left no {path}") from exc
    except ElementTree.ParseError as exc:
        raise ParentError(f"{path} is cut off or damaged: {exc}") from exc
    if not calculations:
        raise ParentError(f"{path} holds no ionic step")
    try:
        return read_calculation(calculations[-1])
    except ValueError as exc:
        raise ParentError(f"the last ionic step of {path} cannot be read: {exc}") from exc
