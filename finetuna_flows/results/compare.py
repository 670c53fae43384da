"""Several methods on one structure, side by side, measured against one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from emmet.core.types.enums import TaskState

from finetuna_flows.geometry import free_components
from finetuna_flows.reasons import FailureReason, Integrity
from finetuna_flows.results.build import build_comparison_doc
from finetuna_flows.results.documents import ComparisonDoc, ComparisonRow, RelaxationDoc
from finetuna_flows.results.portable import to_ase
from finetuna_flows.results.systems import same_start
from finetuna_flows.structures.connectivity import same_minimum
from finetuna_flows.vasp.level_difference import level_difference

ENERGY_TOLERANCE = 0.02
"""eV above the reference that still counts as success: the FINETUNA paper's test.

Musielewicz, Wang, Tian, Ulissi, Mach. Learn.: Sci. Technol. 3, 03LT01 (2022).
"""

ROUNDING = 1e-9
"""eV/Å by which a force may pass a threshold that it was relaxed to; eV by which an energy must be
lower to be that."""


def compare(
    relaxations: Mapping[str, RelaxationDoc | None],
    reference_method: str,
    *,
    name: str = "comparison",
    energy_tolerance: float = ENERGY_TOLERANCE,
) -> ComparisonDoc:
    """Make one row for each method, the reference first.

    Parameters
    ----------
    relaxations
        By what the comparison calls their methods, all from the same geometry; None where there
        is no relaxation, which gets a row that says so.
    reference_method
        What calls and energies are measured against.
    name
        What the user calls the comparison.
    energy_tolerance
        eV above the reference that still counts as success.

    Raises
    ------
    ValueError
        If the relaxations did not start from one geometry.
    """
    given = {method: doc for method, doc in relaxations.items() if doc is not None}
    first = next(iter(given), None)
    for method in given:
        if first is not None:
            _check_same_start((first, given[first]), (method, given[method]))
    reference = given.get(reference_method)
    rows = [
        _row(method, given[method], reference, energy_tolerance)
        if method in given
        else _absent(method)
        for method in dict.fromkeys((reference_method, *relaxations))
    ]
    said = [doc.system for doc in given.values() if doc.system is not None]
    return build_comparison_doc(
        rows,
        name=name,
        system=said[0] if said else None,
        reference_method=reference_method,
        energy_tolerance=energy_tolerance,
        initial_structure=given[first].initial_structure if first is not None else None,
    )


def _row(
    method: str, doc: RelaxationDoc, reference: RelaxationDoc | None, energy_tolerance: float
) -> ComparisonRow:
    measured, note = _against(doc, reference, energy_tolerance)
    notes = [] if doc.converged else [f"not converged: {doc.stop_sentence}"]
    forces = doc.force_consistency
    if forces is not None and not forces.gradient and forces.contradiction:
        notes.append(f"its forces contradict its energies: {forces.contradiction}")
    if doc.damaged:
        notes.append(f"{len(doc.damaged)} parts of its files were damaged, so calls may be missing")
    return ComparisonRow(
        method=method,
        state=doc.state,
        converged=doc.converged,
        note="; ".join([*notes, *note]),
        uuid=doc.uuid,
        level_of_theory=doc.level_of_theory,
        parent_calls=doc.parent_calls,
        parent_mode=doc.parent_mode,
        scf_cycles=doc.scf_cycles,
        timings=doc.timings,
        energy=doc.energy,
        fmax=doc.fmax,
        fmax_threshold=doc.fmax_threshold,
        damaged=len(doc.damaged),
        integrity=doc.integrity,
        stop_reason=doc.stop_reason,
        **measured,
    )


def _against(
    doc: RelaxationDoc, reference: RelaxationDoc | None, energy_tolerance: float
) -> tuple[dict[str, Any], list[str]]:
    """Return what is measured against the reference, and why something of it is not."""
    if reference is None:
        return {}, ["the reference is missing"]
    measured: dict[str, Any] = {}
    notes = []
    if reference.parent_calls:
        measured["parent_calls_ratio"] = doc.parent_calls / reference.parent_calls
    if reference.scf_cycles and doc.scf_cycles is not None:
        measured["scf_cycles_ratio"] = doc.scf_cycles / reference.scf_cycles
    if doc.energy is None or reference.energy is None:
        if doc.energy is None:
            measured |= {"strict_success": False, "failures": (FailureReason.NO_ENERGY,)}
        return measured, ["no energy to compare: a parent never answered"]
    end, its_end = to_ase(doc.structure), to_ase(reference.structure)
    match = same_minimum(its_end, end)
    measured |= {"same_minimum": match.same, "rmsd": match.rmsd}
    if doc.level_of_theory != reference.level_of_theory:
        how = level_difference(doc.level_of_theory, reference.level_of_theory)
        said = f": they differ {how}" if how else ""
        return measured, [f"energies of another level of theory are not compared{said}"]
    if not np.array_equal(free_components(end), free_components(its_end)):
        return measured, ["energies are not compared, since other atoms are fixed"]
    difference = doc.energy - reference.energy
    measured["energy_difference"] = difference
    measured["passes_energy_test"] = difference <= energy_tolerance
    failures = strict_failures(
        doc,
        same=match.same,
        difference=difference,
        energy_tolerance=energy_tolerance,
        threshold=reference.fmax_threshold,
    )
    measured |= {"failures": failures, "strict_success": not failures}
    if doc is not reference and not reference.converged:
        notes.append("the reference is not converged")
    if doc.fmax_threshold != reference.fmax_threshold:
        notes.append(
            f"its threshold is {doc.fmax_threshold:g} eV/Å, the reference's "
            f"{reference.fmax_threshold:g}"
        )
    return measured, notes


def strict_failures(
    doc: RelaxationDoc,
    *,
    same: bool,
    difference: float,
    energy_tolerance: float,
    threshold: float,
) -> tuple[FailureReason, ...]:
    """Why a relaxation is no success where a wrong minimum is one too; empty if it is a success.

    The paper asks only whether the energy is at most `energy_tolerance` above the reference's.
    Here the parent's forces must be below both thresholds too, and the minimum be the reference's,
    or a lower one in which the adsorbate is what it was at the start, as far as one is tagged.

    Parameters
    ----------
    doc
        At the reference's level of theory.
    same
        Whether it ended in the reference's minimum.
    difference
        Energy minus the reference's, eV.
    energy_tolerance
        eV above the reference that still counts.
    threshold
        eV/Å that the reference had to reach.
    """
    lower = difference < -ROUNDING
    converged = doc.converged and doc.fmax is not None and doc.fmax <= threshold + ROUNDING
    as_it_was = doc.integrity in (Integrity.INTACT, Integrity.NO_ADSORBATE)
    found = {
        FailureReason.NOT_CONVERGED: not converged,
        FailureReason.HIGHER: difference > energy_tolerance,
        FailureReason.ANOTHER_MINIMUM: not same and not lower,
        FailureReason.ADSORBATE_CHANGED: not same and lower and not as_it_was,
    }
    return tuple(reason for reason, holds in found.items() if holds)


def _absent(method: str) -> ComparisonRow:
    note = "missing: it ended in an error, or was never run"
    return ComparisonRow(method=method, state=TaskState.ERROR, converged=False, note=note)


def _check_same_start(one: tuple[str, RelaxationDoc], other: tuple[str, RelaxationDoc]) -> None:
    first, second = (to_ase(doc.initial_structure) for _, doc in (one, other))
    if not same_start(first, second):
        raise ValueError(
            f"{one[0]!r} started from {first.symbols} and {other[0]!r} from {second.symbols}, "
            "not from the same geometry; compare relaxations of one structure"
        )
