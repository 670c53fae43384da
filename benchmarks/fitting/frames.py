"""Labelled relaxations of one system, as a potential is fitted to them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.io.extxyz import key_val_str_to_dict
from numpy.typing import NDArray

from benchmarks.fitted_parent import FIXED_TOLERANCE, Array, Indices, ways
from finetuna_flows.geometry import fmax, free_components
from finetuna_flows.structures.tags import find_adsorbate

LARGEST_FORCE = 10.0
"""eV/Å; or `FORCE_MARGIN` times the start's, if that is more."""
FORCE_MARGIN = 1.1
LARGEST_RISE = 1.0
"""eV above the start."""


@dataclass(frozen=True)
class Labels:
    """What a potential is fitted to: M labels, f free atoms, D = 3 f."""

    sid: str
    start: Atoms
    """With tags and constraints."""
    free: Indices
    """Of the free atoms, shape (f,)."""
    x: Array
    """Å; their coordinates, each atom in the image nearest to its start, shape (M, D)."""
    energies: Array
    """eV, shape (M,)."""
    forces: Array
    """eV/Å on the free atoms, shape (M, D)."""
    sources: NDArray[np.str_]
    """Relaxation that each comes from, shape (M,)."""
    dropped_moved: int
    """Frames left out because a fixed atom is elsewhere in them."""
    dropped_extreme: int
    """Frames left out because of their forces or energies."""


def read_frames(path: Path, sids: Sequence[str] = ()) -> dict[str, list[Atoms]]:
    """Read frames by system, in the order of the file, all systems or those asked for.

    Raises
    ------
    ValueError
        If a frame does not name its system, or a system asked for has no frames.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as stream:  # decompressed first: ASE seeks to and fro
        lines = stream.read().splitlines()
    wanted = {sid.removeprefix("random") for sid in sids}
    chunks: dict[str, list[str]] = {}
    at = 0
    while at < len(lines):
        size = int(lines[at]) + 2
        sid = key_val_str_to_dict(lines[at + 1]).get("sid")
        if sid is None:
            raise ValueError(f"{path}:{at + 2} names no system; write sid=NAME into each frame")
        name = str(sid).removeprefix("random")
        if not wanted or name in wanted:
            chunks.setdefault(name, []).extend(lines[at : at + size])
        at += size
    if wanted - set(chunks):
        raise ValueError(f"{path} has no frames of {', '.join(sorted(wanted - set(chunks)))}")
    return {
        sid: list(ase.io.iread(StringIO("\n".join(text) + "\n"), format="extxyz"))
        for sid, text in chunks.items()
    }


def by_source(frames: Iterable[Atoms]) -> dict[str, list[Atoms]]:
    """Sort a system's frames by ``info["method"]``, and where it is told by ``info["call"]``."""
    found: dict[str, list[Atoms]] = {}
    for frame in frames:
        found.setdefault(str(frame.info.get("method", "labels")), []).append(frame)
    for run in found.values():
        run.sort(key=lambda frame: int(frame.info.get("call", 0)))
    return found


def start_of(sid: str, frames: Sequence[Atoms]) -> Atoms:
    """Return the first frame with its constraints, which tags of 0 stand in for.

    Where there are no tags it gets 0 for fixed and 1 for free atoms: no adsorbate is known.

    Raises
    ------
    ValueError
        If nothing says which atoms are fixed: neither constraints nor OC20's tags.
    """
    first = next(iter(by_source(frames).values()))[0]
    start: Atoms = first.copy()
    start.info = {"sid": sid}
    tags = start.get_tags()
    if not start.constraints and tags.any():
        found = find_adsorbate(start)
        if found.doubted:
            raise ValueError(
                f"frames of {sid} have no constraints, and {found.reason}; write a column move_mask"
            )
        start.set_constraint(ase.constraints.FixAtoms(np.flatnonzero(tags == 0)))
    if not start.constraints:
        raise ValueError(
            f"frames of {sid} have neither constraints nor tags, so that all atoms were free; "
            "write a column move_mask or tags (0: fixed)"
        )
    if not tags.any():
        start.set_tags(free_components(start).all(axis=1).astype(int))
    return start


def labels_of(sid: str, frames: Sequence[Atoms]) -> Labels:
    """Collect what a potential can be fitted to, and leave out what would spoil it.

    Left out are frames in which a fixed atom is elsewhere, or which have a force on a free atom
    above 10 eV/Å (1.1 times the start's, if that is more) or an energy over 1 eV above the start's.

    Raises
    ------
    ValueError
        If the frames are not of one system, a frame has no label, or an atom is fixed in part.
    """
    start = start_of(sid, frames)
    mask = free_components(start)
    if (mask.any(axis=1) != mask.all(axis=1)).any():
        raise ValueError(f"{sid} fixes an atom along some directions but must fix all or none")
    free = np.flatnonzero(mask.all(axis=1))
    fixed = np.setdiff1d(np.arange(len(start)), free)
    ordered = [(name, frame) for name, run in by_source(frames).items() for frame in run]
    for name, frame in ordered:
        if not np.array_equal(frame.numbers, start.numbers) or frame.calc is None:
            raise ValueError(
                f"a frame of {sid} ({name}) has other atoms than the first, or no energy and "
                "forces; one name is for one system, and every frame needs a label"
            )
    way = ways(np.array([f.positions for _, f in ordered]), start.positions, start.cell.array)
    energies = np.array([frame.get_potential_energy() for _, frame in ordered])
    forces = np.array([frame.get_forces(apply_constraint=False) for _, frame in ordered])
    stayed = np.abs(way[:, fixed]).max(axis=(1, 2), initial=0.0) <= FIXED_TOLERANCE
    largest = np.array([fmax(each, mask) for each in forces])
    tame = largest <= max(LARGEST_FORCE, FORCE_MARGIN * largest[0])
    tame &= energies <= energies[0] + LARGEST_RISE
    kept = stayed & tame
    return Labels(
        sid=sid,
        start=start,
        free=free,
        x=(start.positions + way)[kept][:, free].reshape(kept.sum(), -1),
        energies=energies[kept],
        forces=forces[kept][:, free].reshape(kept.sum(), -1),
        sources=np.array([name for name, _ in ordered])[kept],
        dropped_moved=int((~stayed).sum()),
        dropped_extreme=int((stayed & ~tame).sum()),
    )
