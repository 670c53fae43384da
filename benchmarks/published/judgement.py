"""What a finished relaxation cost, where its calls went, and whether its end counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.published.systems import (
    ENERGY_TOLERANCE,
    FMAX,
    SAME_MINIMUM,
    PublishedSystem,
    labels_of,
)
from finetuna_flows.results.document_parts import LedgerEntry, Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.portable import to_ase

NEAR, AT = 0.1, 0.02
"""eV; from the end of a run its calls count as approach, then as settling, then as polishing."""


@dataclass(frozen=True)
class Measured:
    """One relaxation in numbers."""

    stop_reason: str
    calls: int
    percent: float
    """Calls as % of VASP CG's."""
    energy: float
    """eV at the end, by the parent."""
    energy_difference: float
    """eV; the same minus VASP CG's end."""
    fmax: float
    """eV/Å at the end, by the parent, over the free atoms."""
    success: bool
    """By the paper's rule: forces small, energy at most 0.02 eV above VASP CG's."""
    validated: bool
    """Success, within the parent's domain, and if lower than VASP CG's end, then near the lowest
    energy that VASP itself found."""
    off_domain: bool
    """Whether the parent says that it means nothing at the end."""
    distance: float | None
    """Å from the end to the nearest label that the parent was fitted to; None if not told."""
    lowest_label: float | None
    """eV; lowest energy among these labels minus VASP CG's end; None if not told."""
    integrity: str
    """What became of the adsorbate."""
    surrogate_steps: int
    """Geometries that the surrogate alone answered for."""
    approach: int
    """Calls until the energy stays within 0.1 eV of the run's end."""
    settling: int
    """Further calls until it stays within 0.02 eV."""
    polishing: int
    """Calls after that."""
    seconds: dict[str, float]
    """By phase: parent, prediction, tuning, overhead."""
    reasons: dict[str, int]
    """How often the parent was asked for which reason."""
    ledger: list[dict[str, object]]
    """Each call: step, energy (eV), fmax, what was predicted of it and with which spread (eV/Å)."""


def measure(system: PublishedSystem, doc: RelaxationDoc) -> Measured:
    """Judge the end of a relaxation of `system`.

    Raises
    ------
    ValueError
        If the parent was never asked.
    """
    ledger, trajectory = doc.ledger, doc.trajectory
    if doc.energy is None or doc.fmax is None or not isinstance(ledger, tuple):
        raise ValueError(f"the relaxation of {system.sid} holds no label: {doc.stop_sentence}")
    difference = doc.energy - system.cg_energy
    end, calculator = to_ase(doc.structure), system.calculator()
    end.calc = calculator
    end.get_potential_energy()
    told = calculator.results
    off_domain, distance = bool(told.get("off_domain", False)), told.get("distance_to_data")
    labels = labels_of(calculator)
    lowest = None if labels is None else float(labels.min() - system.cg_energy)
    success = doc.converged and doc.fmax <= FMAX and difference <= ENERGY_TOLERANCE
    approach, settling, polishing = where_calls_went([entry.energy for entry in ledger])
    return Measured(
        stop_reason=doc.stop_reason.value,
        calls=doc.parent_calls,
        percent=100 * doc.parent_calls / system.cg_calls,
        energy=doc.energy,
        energy_difference=difference,
        fmax=doc.fmax,
        success=success,
        validated=success and not off_domain and end_is_known(difference, lowest),
        off_domain=off_domain,
        distance=None if distance is None else float(distance),
        lowest_label=lowest,
        integrity=doc.integrity.value,
        surrogate_steps=doc.n_steps - doc.parent_calls,
        approach=approach,
        settling=settling,
        polishing=polishing,
        seconds=doc.timings.model_dump(include={"parent", "prediction", "tuning", "overhead"}),
        reasons={reason.value: n for reason, n in doc.query_reasons.items()},
        ledger=_calls(ledger, trajectory if isinstance(trajectory, Trajectory) else None),
    )


def end_is_known(difference: float, lowest: float | None) -> bool:
    """Whether an end is no lower than VASP CG's, or VASP itself found a minimum there.

    Parameters
    ----------
    difference, lowest
        eV relative to VASP CG's end: the run's own end, and the lowest label; None if unknown.
    """
    if difference >= -ENERGY_TOLERANCE:
        return True
    return lowest is not None and abs(difference - lowest) <= SAME_MINIMUM


def where_calls_went(energies: Sequence[float]) -> tuple[int, int, int]:
    """Calls of approach, settling and polishing, by the energy's distance from the run's end.

    Parameters
    ----------
    energies
        eV; one a call, in order. The call that first is near, and stays so, ends its phase.
    """
    away = np.abs(np.asarray(energies) - energies[-1])

    def stays(within: float) -> int:
        outside = np.flatnonzero(away > within)
        return int(outside[-1]) + 2 if len(outside) else 1

    near, at = stays(NEAR), stays(AT)
    return near, at - near, len(energies) - at


def _calls(ledger: Sequence[LedgerEntry], trajectory: Trajectory | None) -> list[dict[str, object]]:
    return [
        {
            "step": entry.step,
            "reasons": [reason.value for reason in entry.reasons],
            "energy": entry.energy,
            "fmax": entry.fmax,
            "predicted_fmax": entry.predicted_fmax,
            "predicted_spread": trajectory.predicted_spread[entry.step] if trajectory else None,
        }
        for entry in ledger
    ]
