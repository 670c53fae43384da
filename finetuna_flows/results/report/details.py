"""What the page of one relaxation shows, packed for the file."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms

from finetuna_flows.axis import surface_axis
from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import Array, displacements, free_components
from finetuna_flows.results.document_parts import LedgerEntry, Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.portable import to_ase
from finetuna_flows.results.report.rounding import (
    ENERGY,
    FORCE,
    LENGTH,
    TIME,
    all_rounded,
    rounded,
    significant,
)
from finetuna_flows.results.scale import shift_of
from finetuna_flows.structures.surface import surface_normal
from finetuna_flows.structures.tags import tagged_adsorbate


def details(doc: RelaxationDoc) -> dict[str, object]:
    """Facts, curve, parent calls, start and end; what the store does not keep is None.

    Parameters
    ----------
    doc
        With its trajectory and ledger loaded.
    """
    return {
        "facts": _facts(doc),
        "curve": _curve(doc.trajectory) if isinstance(doc.trajectory, Trajectory) else None,
        "calls": _calls(doc.ledger) if isinstance(doc.ledger, tuple) else None,
        "atoms": _atoms(doc),
    }


def packed(content: object) -> str:
    """JSON, compressed, in letters that need no escape in HTML."""
    plain = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(gzip.compress(plain, mtime=0)).decode()


def _facts(doc: RelaxationDoc) -> Mapping[str, object]:
    return {
        "level": doc.level_of_theory,
        "threshold": doc.fmax_threshold,
        "stop": _stop(doc),
        "integrity": doc.integrity_sentence,
        "inferred": list(doc.inferred),
        "replayed": doc.replayed_calls,
        "directory": doc.dir_name,
        "packages": doc.packages,
        "spec": doc.spec,
    }


def _stop(doc: RelaxationDoc) -> str:
    """Why it ended, and in numbers where the parent's forces contradict its energies."""
    forces = doc.force_consistency
    if forces is None or forces.gradient or forces.contradiction is None:
        return doc.stop_sentence
    return f"{doc.stop_sentence}; {forces.contradiction}"


def _curve(trajectory: Trajectory) -> Mapping[str, object]:
    """Every step; positions and forces stay in the store."""
    return {
        "energy": all_rounded(trajectory.energies, ENERGY),
        "fmax": all_rounded(trajectory.fmax, FORCE),
        "labelled": [int(each) for each in trajectory.labelled],
        "shift": _shift(trajectory),
    }


def _shift(trajectory: Trajectory) -> Mapping[str, object] | None:
    """What is added to predicted energies to draw them; None where they are on the parent's scale.

    ``before`` holds up to the first label, whose step is ``first``, and ``after`` from there on.
    """
    shift = shift_of(trajectory) if any(trajectory.labelled) else None
    if shift is None or not (shift.before or shift.after):
        return None
    return {
        "before": rounded(shift.before, ENERGY),
        "after": rounded(shift.after, ENERGY),
        "first": trajectory.labelled.index(True),
        "said": " ".join(shift.sentence.split()),
    }


def _calls(ledger: Sequence[LedgerEntry]) -> Mapping[str, object]:
    """Column by column."""
    return {
        "step": [entry.step for entry in ledger],
        "reasons": [[reason.value for reason in entry.reasons] for entry in ledger],
        "energy": all_rounded((entry.energy for entry in ledger), ENERGY),
        "fmax": all_rounded((entry.fmax for entry in ledger), FORCE),
        "predictedEnergy": all_rounded((entry.predicted_energy for entry in ledger), ENERGY),
        "predictedFmax": all_rounded((entry.predicted_fmax for entry in ledger), FORCE),
        "scf": [entry.scf_cycles for entry in ledger],
        "time": all_rounded((entry.wall_time for entry in ledger), TIME),
        "restarts": [entry.restarts for entry in ledger],
        "replayed": [int(entry.replayed) for entry in ledger],
        "error": [significant(entry.force_error) for entry in ledger],
        "tuned": [significant(entry.tuned_force_error) for entry in ledger],
    }


def _atoms(doc: RelaxationDoc) -> Mapping[str, object]:
    """Start and end in Å, the end as the nearest image of the start, so that ways can be drawn.

    A slab stands upright, its surface normal along z, as it is looked at.
    """
    start, end = to_ase(doc.initial_structure), to_ase(doc.structure)
    ways = displacements(start.positions, end.positions, start)
    up = _upright(start)
    return {
        "symbols": list(start.symbols),
        "cell": np.round(start.cell.array @ up.T, LENGTH).tolist() if start.pbc.any() else None,
        "fixed": np.flatnonzero(~free_components(start).any(axis=1)).tolist(),
        "adsorbate": tagged_adsorbate(start),
        "start": np.round(start.positions @ up.T, LENGTH).tolist(),
        "end": np.round((start.positions + ways) @ up.T, LENGTH).tolist(),
    }


def _upright(atoms: Atoms) -> Array:
    """Rotation, shape (3, 3), that takes the surface normal to z; none where that is not known."""
    try:
        axis = surface_axis(atoms, tagged_adsorbate(atoms))
    except StructureError:
        return np.eye(3)
    normal = surface_normal(atoms, axis)
    if np.allclose(normal, (0, 0, 1), atol=1e-9):
        return np.eye(3)
    along = atoms.cell[(axis + 1) % 3] / atoms.cell.lengths()[(axis + 1) % 3]
    return np.array([along, np.cross(normal, along), normal])
