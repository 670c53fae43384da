"""INCAR: what is written, and what VASP makes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .fortran import InputError

REAL = {"EDIFF", "EDIFFG", "ENCUT", "ENAUG", "KSPACING", "POTIM", "SIGMA", "SYMPREC"}


@dataclass(frozen=True)
class Incar:
    """Tags in capitals with their values as written, the first where one comes twice."""

    tags: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Incar:
        """Read a file, in which ``!`` and ``#`` begin comments and ``;`` ends a statement."""
        if not path.is_file():
            raise InputError(f"No {path.name} found, STOPPING")
        text = path.read_text().replace("\\\n", " ")
        tags: dict[str, str] = {}
        for line in text.splitlines():
            for statement in re.split(r"[!#]", line)[0].split(";"):
                name, equals, value = statement.partition("=")
                if equals:
                    tags.setdefault(name.strip().upper(), value.strip())
        return cls(tags)

    def text(self, name: str, default: str) -> str:
        """The words of a tag."""
        return self.tags.get(name, default)

    def real(self, name: str, default: float) -> float:
        """A number, exponents with D or E."""
        word = self.tags.get(name, "").split()
        try:
            return float(re.sub("[dD]", "e", word[0])) if word else default
        except ValueError as exc:
            raise InputError(f"{name} in INCAR is {word[0]!r} but must be a number") from exc

    def integer(self, name: str, default: int) -> int:
        """A whole number."""
        value = self.real(name, default)
        if value != int(value):
            raise InputError(f"{name} in INCAR is {value} but must be a whole number")
        return int(value)

    def logical(self, name: str, *, default: bool) -> bool:
        """``.TRUE.``, ``T``, ``true`` and the like."""
        word = self.tags.get(name, "").strip(". ").upper()
        if word[:1] not in {"", "T", "F"}:
            raise InputError(f"{name} in INCAR is {word!r} but must be .TRUE. or .FALSE.")
        return word.startswith("T") if word else default

    def typed(self) -> list[tuple[str, str, str]]:
        """Name, type (``int``, ``float``, ``logical`` or ``string``) and value of each tag."""
        return [(name, _kind(name, value), value) for name, value in self.tags.items()]


def _kind(name: str, value: str) -> str:
    words = value.split()
    if all(re.fullmatch(r"[-+]?\d+", word) for word in words) and name not in REAL:
        return "int"
    if all(re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?", word) for word in words):
        return "float"
    if re.fullmatch(r"\.?(T|F|TRUE|FALSE)\.?", value.upper()):
        return "logical"
    return "string"


@dataclass(frozen=True)
class Job:
    """What the run is asked to do, defaults filled in. eV, Å."""

    nsw: int
    ibrion: int
    """11 where positions come over stdin, as VASP has it."""
    interactive: bool
    isif: int
    ispin: int
    nelm: int
    nelmin: int
    ediff: float
    ediffg: float
    potim: float
    algo: str
    predicts: bool
    """Whether charges are extrapolated between ionic steps."""
    restarts: bool
    """Whether a WAVECAR is read."""
    lwave: bool
    lcharg: bool
    lorbit: int

    @classmethod
    def from_incar(cls, incar: Incar) -> Job:
        """Fill in VASP's defaults.

        Raises
        ------
        InputError
            For what the stand-in does not do.
        """
        nsw = max(0, incar.integer("NSW", 0))
        interactive = incar.logical("INTERACTIVE", default=False) and nsw > 0
        ibrion = incar.integer("IBRION", 0) if nsw else -1
        if interactive:
            ibrion = 11
        elif ibrion not in {-1, 1, 2, 3}:
            raise InputError(f"IBRION in INCAR is {ibrion} but the stand-in does -1, 1, 2 and 3")
        ediff = incar.real("EDIFF", 1e-4)
        return cls(
            nsw=nsw,
            ibrion=ibrion,
            interactive=interactive,
            isif=incar.integer("ISIF", 2),
            ispin=incar.integer("ISPIN", 1),
            nelm=incar.integer("NELM", 60),
            nelmin=incar.integer("NELMIN", 2),
            ediff=ediff,
            ediffg=incar.real("EDIFFG", 10 * ediff),
            potim=incar.real("POTIM", 0.5),
            algo=incar.text("ALGO", "Normal"),
            predicts=incar.integer("IWAVPR", 11 if nsw else 0) > 10,
            restarts=incar.integer("ISTART", 1) > 0,
            lwave=incar.logical("LWAVE", default=True),
            lcharg=incar.logical("LCHARG", default=True),
            lorbit=incar.integer("LORBIT", 0),
        )
