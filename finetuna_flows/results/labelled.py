"""Geometries with the parent's energy and forces, taken out of documents: what models learn from.

Each has constraints and tags, energies in eV and raw forces in eV/Å as its calculator's results,
and in ``info`` where it comes from, and whether the adsorbate was named.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from finetuna_flows.geometry import Array, moved
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.loaded import loaded_ledger, loaded_trajectory
from finetuna_flows.results.portable import to_ase
from finetuna_flows.structures.tags import ADSORBATE_FROM, NAMED

TOLD = (
    "uuid",
    "system",
    "adsorbate",
    "name",
    "method",
    "parent_mode",
    "level_of_theory",
    "converged",
    "integrity",
)
"""Fields of the document that ``info`` has where they are not None."""


def final_geometry(doc: RelaxationDoc) -> Atoms | None:
    """The newest labelled geometry; None if the parent never answered."""
    if doc.energy is None or doc.forces is None:
        return None
    atoms = to_ase(doc.structure)
    return _labelled(atoms, doc, doc.energy, np.array(doc.forces), doc.free_energy)


def labelled_geometries(doc: RelaxationDoc) -> Iterator[Atoms]:
    """Every labelled geometry, in order; ``info["step"]`` is the number of its step.

    Raises
    ------
    ValueError
        If trajectory or ledger is not loaded.
    """
    trajectory, ledger = loaded_trajectory(doc), loaded_ledger(doc)
    if trajectory is None:
        return
    start = to_ase(doc.initial_structure)
    for entry in ledger:
        atoms = moved(start, np.array(trajectory.positions[entry.step]))
        forces = np.array(trajectory.forces[entry.step])
        labelled = _labelled(atoms, doc, entry.energy, forces, entry.free_energy)
        labelled.info["step"] = entry.step
        yield labelled


def _labelled(
    atoms: Atoms, doc: RelaxationDoc, energy: float, forces: Array, free_energy: float | None
) -> Atoms:
    said = {name: getattr(doc, name) for name in TOLD}
    given = atoms.info.get(ADSORBATE_FROM)
    atoms.info = {
        name: str(value) if isinstance(value, str) else value
        for name, value in said.items()
        if value is not None
    }
    if given == NAMED:
        atoms.info[ADSORBATE_FROM] = NAMED
    results = {"energy": energy, "forces": forces}
    if free_energy is not None:
        results["free_energy"] = free_energy
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms
