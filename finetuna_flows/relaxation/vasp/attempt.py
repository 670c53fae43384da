"""One start of VASP as its files tell it: settings, first geometry, ionic steps."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ase import Atoms
from pymatgen.io.vasp import Incar, Kpoints

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array
from finetuna_flows.records import Label
from finetuna_flows.vasp.level import ENGINE, vasp_level
from finetuna_flows.vasp.motion import Motion, motion_of

logger = logging.getLogger(__name__)

NOT_OF_THE_LEVEL = ("MAGMOM", "SYSTEM", "SHA256")
"""Tags with free or long values that say nothing of the level of theory. The last VASP 6 prints of
POTCARs in the form of a tag."""


WHOLE = re.compile(r"-?\d+")
REAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([EeDd][-+]?\d+)?")
ANY = re.compile(r".*", re.DOTALL)
NUMERIC = {"NSW": WHOLE, "NELM": WHOLE, "IBRION": WHOLE, "EDIFF": REAL, "EDIFFG": REAL}
"""Form of the tags that decide what a run was."""

NO_WAY_DOWN = "ZBRENT: fatal"
"""How VASP says, in its output or in OUTCAR, that the line search of its optimizer failed;
custodian knows it by the same words."""


@dataclass(frozen=True)
class VaspSettings:
    """What VASP was told, as far as it matters to what its relaxation is worth."""

    motion: Motion
    """What it did with the atoms."""
    nsw: int
    ediffg: float
    """eV/Å where negative, eV where positive."""
    nelm: int
    ediff: float
    """eV."""
    level: str
    """Level of theory in words."""


@dataclass(frozen=True)
class FinishedStep:
    """One geometry and what VASP says of it."""

    positions: Array
    """Å, shape (n, 3), wrapped as VASP wrote them."""
    cell: Array
    """Lattice vectors in Å, one a row."""
    label: Label
    last_change: float
    """Of F in the last electronic iteration, eV; inf where there was one alone."""


@dataclass(frozen=True)
class FinishedRun:
    """One start of VASP, from its beginning to its end or to where its files end."""

    source: str
    """What it was read from."""
    settings: VaspSettings
    start: Atoms
    """The geometry as it was given, with the constraints that are known."""
    steps: tuple[FinishedStep, ...]
    """The complete ones."""
    constraints_known: bool
    """Whether the files say which atoms are fixed; OUTCAR does not."""
    levels: frozenset[str] = frozenset()
    """Other words for the same level of theory: OUTCAR does not always tell the grid of k-points,
    only their number."""
    whole: bool = True
    """Whether its files end where VASP ends them, and not in the middle of a step."""
    gave_up: bool = False
    """Whether VASP or custodian wrote that the optimizer found no way down."""
    left: Array | None = None
    """Positions in Å that its CONTCAR has, shape (n, 3); None where there is none."""
    notes: tuple[str, ...] = ()
    """Why it belongs to a relaxation, where its name does not tell, and what does not."""
    learned: int = 0
    """Steps of a machine-learned force field, which are none of DFT and not among `steps`."""
    lost: Mapping[int, str] = field(default_factory=dict)
    """Ionic steps that were computed but cannot be read: number, from 1 → which and why. The others
    are `steps`."""
    damaged: tuple[str, ...] = ()
    """What else cannot be read, in words."""
    started: tuple[int, ...] = ()
    """Year, month, day, hour, minute, second; empty where it is not known."""

    @property
    def n_steps(self) -> int:
        """Ionic steps that were computed, readable or not."""
        return len(self.steps) + len(self.lost)

    @property
    def numbered(self) -> dict[int, FinishedStep]:
        """The complete steps by their numbers, from 1."""
        numbers = (each for each in range(1, self.n_steps + 1) if each not in self.lost)
        return dict(zip(numbers, self.steps, strict=True))

    @property
    def told(self) -> tuple[str, ...]:
        """All that cannot be read, in words."""
        return (*self.damaged, *(self.lost[number] for number in sorted(self.lost)))


DEFAULTS = {"NELM": "60", "EDIFF": "1e-4"}
"""VASP's, for where damage hides a tag; EDIFFG is ten times EDIFF."""


def settings_of(
    given: Mapping[str, object],
    used: Mapping[str, object],
    level: str,
    source: str,
    n_steps: int,
) -> tuple[VaspSettings, tuple[str, ...]]:
    """Settings from VASP's tags, and what of them cannot be read.

    Parameters
    ----------
    given
        Tags of the INCAR.
    used
        Those that VASP worked with, defaults included; one that is no number there is taken from
        `given`.
    level
        Level of theory in words.
    source
        What the tags were read from.
    n_steps
        Ionic steps that there are.

    Raises
    ------
    ParentError
        If a tag is missing that decides what the run was, or cannot be read.
    """
    words = _legible(given, used)
    unsaid = []
    wanted = {**DEFAULTS, "NSW": str(n_steps + 1)} if n_steps > 1 else DEFAULTS
    for name in wanted:
        if name not in words:
            words[name] = wanted[name]
            unsaid.append(f"{source} does not say {name} so that it can be read")
    if "EDIFFG" not in words:
        words["EDIFFG"] = str(10 * float(words["EDIFF"]))
        unsaid.append(f"{source} does not say EDIFFG so that it can be read")
    try:
        settings = VaspSettings(
            motion=motion_of(words),
            nsw=int(words["NSW"]),
            ediffg=float(words["EDIFFG"]),
            nelm=int(words["NELM"]),
            ediff=float(words["EDIFF"]),
            level=level,
        )
    except KeyError as exc:
        raise ParentError(f"{source} does not say {exc.args[0]}; it is damaged") from exc
    except ValueError as exc:
        raise ParentError(f"{source} has a tag that is no number: {exc}") from exc
    return settings, tuple(unsaid)


def _legible(given: Mapping[str, object], used: Mapping[str, object]) -> dict[str, str]:
    """All tags as words, those that must be numbers only where they are."""
    words: dict[str, str] = {}
    for tags in (given, used):
        for name, value in tags.items():
            word = str(value).strip()
            if NUMERIC.get(name.upper(), ANY).fullmatch(word):
                words[name.upper()] = word
    return words


def unknown_level(source: str) -> str:
    """Words for a level of theory that cannot be read, which is one of its own."""
    return f"VASP, settings not readable in {source}"


def share_level(one: FinishedRun, other: FinishedRun) -> bool:
    """Whether two runs are at one level of theory, as far as each tells it."""
    mine, theirs = ({run.settings.level} | run.levels for run in (one, other))
    return not mine.isdisjoint(theirs)


def level_of(
    incar: Mapping[str, object],
    kpoints: Kpoints | None,
    potcars: Iterable[str],
    engine: str = ENGINE,
    *,
    worked_with: Mapping[str, object] | None = None,
) -> str:
    """Level of theory in the words of `vasp_level`, from tags whose values may be VASP's words.

    Parameters
    ----------
    incar
        As it was given to VASP.
    kpoints
        As VASP says; those that KSPACING made count as given by it.
    potcars
        Titles.
    engine
        What the program calls itself.
    worked_with
        Values that VASP worked with; they tell the cutoff where the INCAR leaves it to the
        POTCARs. A stand-in has one of its own there.
    """
    given = {key: value for key, value in incar.items() if key not in NOT_OF_THE_LEVEL}
    used = worked_with or {}
    cutoff = given.pop("ENMAX", None) or used.get("ENMAX") or used.get("ENCUT")
    if "ENCUT" not in given and cutoff and engine == ENGINE:
        given["ENCUT"] = str(cutoff)
    return vasp_level(Incar(given), None if "KSPACING" in given else kpoints, potcars, engine)


def grid_of(
    style: str, divisions: Sequence[int], shift: Sequence[float] = (0.0, 0.0, 0.0)
) -> Kpoints:
    """A regular grid of k-points; `style` is ``Gamma`` or ``Monkhorst``, or begins like it."""
    first, second, third = divisions
    x, y, z = shift
    return Kpoints(
        style=Kpoints.supported_modes.from_str(style),
        kpts=((first, second, third),),
        kpts_shift=(x, y, z),
    )


def list_of(count: int) -> Kpoints:
    """As many k-points as were listed one by one."""
    return Kpoints(
        num_kpts=count,
        style=Kpoints.supported_modes.Reciprocal,
        kpts=((0.0, 0.0, 0.0),) * count,
        kpts_weights=[1.0] * count,
    )


def step_words(source: str, number: int, line: int, why: object) -> str:
    """Which ionic step cannot be read, and why."""
    return f"{source} ionic step {number} (line {line}) cannot be read: {why}"


def warn_of_end(source: str, end: str, complete: int) -> None:
    """Say where a file ends that should go on."""
    logger.warning(
        "%s is cut off at %s, in ionic step %d; the %d before it are kept",
        source,
        end,
        complete + 1,
        complete,
    )


def moment(words: str) -> tuple[int, ...]:
    """The numbers of a date and a time in VASP's form, for comparison."""
    return tuple(map(int, re.findall(r"\d+", words)))
