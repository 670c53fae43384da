"""Starting structures from another file, for records that have no tags or begin later."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from finetuna_flows.errors import ParentError, StructureError
from finetuna_flows.geometry import largest_displacement
from finetuna_flows.relaxation.recorded.formats import Kind, kind_of, open_contents
from finetuna_flows.relaxation.vasp.history import SAME_CELL
from finetuna_flows.relaxation.vasp.match import Indices, Started, matched
from finetuna_flows.structures.constraints import with_cartesian_constraints
from finetuna_flows.structures.fingerprint import SAME_START

logger = logging.getLogger(__name__)

LABELS = ("system", "sid")
"""Keys of a structure's info that say what it is called."""


@dataclass(frozen=True)
class FirstGeometry:
    """Where the records of one relaxation begin; see `relaxation.vasp.match.Started`."""

    source: str
    start: Atoms
    constraints_known: bool


class StartingStructures:
    """Structures with tags and constraints, of which each relaxation started from one.

    Parameters
    ----------
    structures
        Those whose info has ``system`` or ``sid`` are found by it too.
    """

    def __init__(self, structures: Iterable[Atoms]) -> None:
        self._structures = [with_cartesian_constraints(each) for each in structures]

    @classmethod
    def read(cls, path: Path) -> StartingStructures:
        """Read all structures of a file.

        Raises
        ------
        ValueError
            If it is no file of structures, or one of them is damaged.
        """
        kind = kind_of(path)
        if kind in (Kind.VASP, Kind.RELEASED):
            raise ValueError(f"{path} is {kind.value} but must be a file of starting structures")
        try:
            with open_contents(path, kind) as contents:
                if contents.damaged:
                    raise ValueError(f"{contents.damaged[0]}; mend the starting structures first")
                return cls([entry.atoms() for entry in contents.entries])
        except ParentError as exc:
            raise ValueError(f"{exc}; mend the starting structures first") from exc

    def find(self, first: Started, system: str | None) -> tuple[Atoms, Indices] | None:
        """The structure that a relaxation started from, and its atoms' indices in the records.

        It is one that lies where the records begin, in any order of atoms; else the one with
        the relaxation's own label, for records that leave out what went before. None: there is
        none.

        Parameters
        ----------
        first
            Where the records begin.
        system
            What they call the structure; None where they do not say.
        """
        alike = [each for each in self._structures if _same_atoms(each, first.start)]
        called = [each for each in alike if system is not None and system in _labels(each)]
        for structure in called or alike:
            order = _order(first, structure)
            if order is not None:
                return structure, order
        ordered = [each for each in called if np.array_equal(each.numbers, first.start.numbers)]
        if not ordered:
            return None
        logger.info(
            "%s begins %.2f Å from the starting structure called %s; that is taken as its start",
            first.source,
            largest_displacement(ordered[0].positions, first.start.positions, first.start),
            system,
        )
        return ordered[0], np.arange(len(first.start))


def _order(first: Started, structure: Atoms) -> Indices | None:
    """For each atom of the structure its index there; None if it lies elsewhere."""
    unconstrained = FirstGeometry(first.source, first.start, constraints_known=False)
    try:
        start, order = matched(unconstrained, structure)
    except StructureError:
        return None
    near = largest_displacement(structure.positions, start.positions, structure) <= SAME_START
    return order if near else None


def _same_atoms(one: Atoms, other: Atoms) -> bool:
    return (
        len(one) == len(other)
        and sorted(one.numbers) == sorted(other.numbers)
        and bool(np.abs(one.cell.array - other.cell.array).max() <= SAME_CELL)
    )


def _labels(atoms: Atoms) -> Sequence[str]:
    return [str(atoms.info[key]) for key in LABELS if key in atoms.info]
