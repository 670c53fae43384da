"""Labelled frames of many systems: from files, by system, and a few of many."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from finetuna_flows.errors import StructureError, said_by
from finetuna_flows.records import Frame, Label

LABELS = "labels.extxyz"
"""What a relaxation leaves in its folder: every geometry that the parent labelled."""

CELL_TOLERANCE = 1e-2
"""Å that the cells of frames of one system may differ: more than files round."""


@dataclass(frozen=True)
class System:
    """All frames of one system."""

    name: str
    """Its formula, with a number where several systems have the same."""
    frames: tuple[Frame, ...]
    """In the order in which they came."""


def collect_frames(sources: Iterable[str | Path]) -> list[Frame]:
    """Read all labels in files and below folders, each file once.

    Parameters
    ----------
    sources
        A file is any trajectory that ASE reads and that keeps energies and forces. Below a folder
        every ``labels.extxyz`` is read, which relaxations leave there. A host in front, as in
        ``host:/folder``, is dropped.

    Raises
    ------
    StructureError
        If a path does not exist, a folder holds no labels, or a frame has no energy or forces.
    """
    files: dict[Path, None] = {}  # a set in order
    for source in sources:
        text = str(source)
        path = Path(text if Path(text).exists() else text.rpartition(":")[2]).expanduser()
        found = sorted(path.rglob(LABELS)) if path.is_dir() else [path]
        if not found:
            raise StructureError(f"{path} holds no {LABELS}; name a folder of finished relaxations")
        files |= dict.fromkeys(each.resolve() for each in found)
    return [frame for file in files for frame in read_frames(file)]


def read_frames(file: Path) -> list[Frame]:
    """Read every frame of a file with its energy and raw forces, constraints and tags.

    Raises
    ------
    StructureError
        If the file cannot be read or a frame has no energy or forces.
    """
    if not file.is_file():
        raise StructureError(f"{file} is not a file; name a trajectory or a folder of relaxations")
    try:
        if file.suffix == ".gz" and file.stem.endswith("xyz"):
            # ASE seeks to and fro in this format, which a compressed stream does slowly
            text = io.StringIO(gzip.decompress(file.read_bytes()).decode())
            read = ase.io.read(text, index=":", format="extxyz")
        else:
            read = ase.io.read(file, index=":", do_not_split_by_at_sign=True)
    except Exception as exc:  # ASE's readers of broken files raise anything
        raise StructureError(
            f"{file} cannot be read as a trajectory: {type(exc).__name__}: {said_by(exc)}"
        ) from exc
    return [to_frame(atoms, f"{file}@{index}") for index, atoms in enumerate(read)]


def to_frame(atoms: Atoms, where: str) -> Frame:
    """Take the label from the calculator's results, constraints not applied.

    Raises
    ------
    StructureError
        If energy or forces are missing; `where` says which frame it is.
    """
    results = {} if atoms.calc is None else atoms.calc.results
    missing = [name for name in ("energy", "forces") if name not in results]
    if missing:
        raise StructureError(
            f"{where} has no {' and no '.join(missing)}; write frames with both, as {LABELS} has"
        )
    bare = atoms.copy()
    free_energy = results.get("free_energy")
    return Frame(
        bare,
        Label(
            energy=float(results["energy"]),
            forces=np.array(results["forces"], dtype=np.float64),
            free_energy=None if free_energy is None else float(free_energy),
        ),
    )


def by_system(frames: Iterable[Frame]) -> tuple[System, ...]:
    """Put frames of one formula, cell and periodicity together, in order of appearance.

    The order of the atoms does not count, and neither does where the adsorbate sits: frames that
    are almost the same must not end up on both sides of a split.
    """
    groups: list[list[Frame]] = []
    known: dict[str, list[list[Frame]]] = {}
    for frame in frames:
        alike = known.setdefault(frame.atoms.get_chemical_formula(), [])
        group = next((each for each in alike if _same_box(each[0].atoms, frame.atoms)), None)
        if group is None:
            group = []
            alike.append(group)
            groups.append(group)
        group.append(frame)
    formulas = [group[0].atoms.get_chemical_formula() for group in groups]
    several, seen = Counter(formulas), Counter[str]()
    systems = []
    for formula, group in zip(formulas, groups, strict=True):
        seen[formula] += 1
        number = f" #{seen[formula]}" if several[formula] > 1 else ""
        systems.append(System(formula + number, tuple(group)))
    return tuple(systems)


def hold_out(systems: Sequence[System], fraction: float, seed: int) -> frozenset[int]:
    """Draw the indices of the systems that validate: `fraction` of them, at least one, not all.

    Raises
    ------
    ValueError
        If there are fewer than two systems.
    """
    if len(systems) < 2:
        raise ValueError(
            f"got frames of {len(systems)} system(s) but at least 2 are needed: one of them "
            "validates what is learned from the others; add relaxations of other structures"
        )
    count = min(max(1, round(fraction * len(systems))), len(systems) - 1)
    drawn = np.random.default_rng(seed).permutation(len(systems))[:count]
    return frozenset(drawn.tolist())


def spread(frames: Sequence[Frame], count: int) -> list[Frame]:
    """At most `count` frames, evenly along the order given, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))
    return [frames[index] for index in chosen]


def _same_box(one: Atoms, other: Atoms) -> bool:
    return bool(
        np.array_equal(one.pbc, other.pbc)
        and np.allclose(one.cell.array, other.cell.array, rtol=0, atol=CELL_TOLERANCE)
    )
