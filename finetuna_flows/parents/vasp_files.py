"""What VASP left on disk about labels, against which standard output is checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array

OUTCAR, VASPRUN = "OUTCAR", "vasprun.xml"

TABLE = re.compile(
    r"POSITION +TOTAL-FORCE \(eV/Angst\)\n -+\n(?P<rows>.*?)\n -+\n.*?"
    r"free  energy   TOTEN  = *(?P<free>\S+) eV.*?"
    r"energy\(sigma->0\) = *(?P<zero>\S+)",
    re.DOTALL,
)
"""Of one ionic step in OUTCAR; the two spaces tell it from an electronic one."""
LONGEST_STEP = 20_000_000
"""Characters of OUTCAR that are kept in wait for the end of an ionic step."""


@dataclass(frozen=True)
class FiledStep:
    """An ionic step as a file has it; eV, Å, eV/Å, in POSCAR's order."""

    energy: float
    """E0."""
    free_energy: float
    positions: Array
    """Cartesian in OUTCAR, fractional in vasprun.xml, shape (n, 3)."""
    forces: Array
    """Shape (n, 3)."""


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

    def new_steps(self) -> list[FiledStep]:
        """Ionic steps that have become complete since the last call."""
        if self._path.exists():
            with self._path.open(errors="replace") as file:
                file.seek(self._read)
                self._text += file.read()
                self._read = file.tell()
        steps: list[FiledStep] = []
        end = 0
        for match in TABLE.finditer(self._text):
            if "\n" not in self._text[match.end() :]:
                break  # the last number may be half written
            rows = [row.split() for row in match["rows"].splitlines()]
            table = np.array(rows, dtype=np.float64).reshape(-1, 6)
            zero, free = float(match["zero"]), float(match["free"])
            steps.append(FiledStep(zero, free, table[:, :3], table[:, 3:]))
            end = match.end()
        start = self._text.rfind("POSITION  ", end)
        self._text = self._text[end if start < 0 else start :][-LONGEST_STEP:]
        return steps


def read_vasprun(path: Path) -> FiledStep:
    """The last ionic step of a complete vasprun.xml.

    Energies are those of the last electronic step: VASP 5 writes a wrong ``e_0_energy`` beside it.

    Raises
    ------
    ParentError
        If the file is not there, is cut off, or holds no step with forces.
    """
    try:
        calculations = ElementTree.parse(path).getroot().findall("calculation")  # noqa: S314
    except FileNotFoundError as exc:
        raise ParentError(f"VASP left no {path}") from exc
    except ElementTree.ParseError as exc:
        raise ParentError(f"{path} is cut off or damaged: {exc}") from exc
    if not calculations:
        raise ParentError(f"{path} holds no ionic step")
    last = calculations[-1]
    cycles = last.findall("scstep")
    energies = (cycles[-1] if cycles else last).find("energy")
    try:
        return FiledStep(
            energy=_energy(energies, "e_0_energy"),
            free_energy=_energy(energies, "e_fr_energy"),
            positions=_rows(last.find("structure/varray[@name='positions']")),
            forces=_rows(last.find("varray[@name='forces']")),
        )
    except (AttributeError, ValueError) as exc:
        raise ParentError(f"{path} holds an ionic step without energy or forces: {exc}") from exc


def _energy(energies: ElementTree.Element | None, name: str) -> float:
    found = None if energies is None else energies.findtext(f"i[@name='{name}']")
    if found is None:
        raise ValueError(f"no {name}")
    return float(found)


def _rows(array: ElementTree.Element | None) -> Array:
    if array is None:
        raise ValueError("no positions or no forces")
    return np.array([(row.text or "").split() for row in array], dtype=np.float64).reshape(-1, 3)
