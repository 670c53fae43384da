"""From a finished run to its documents; nothing else makes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from platform import python_version
from socket import gethostname
from typing import Any
from uuid import uuid4

from ase import Atoms
from emmet.core.types.enums import TaskState
from pymatgen.core.structure import Molecule, Structure

from finetuna_flows.finetuning.recipe import AdaptReport
from finetuna_flows.records import Relaxation
from finetuna_flows.results.adaptation import AdaptedSystem, FineTuneDoc
from finetuna_flows.results.course import force_consistency, ledger, timings, trajectory
from finetuna_flows.results.documents import ComparisonDoc, ComparisonRow, RelaxationDoc
from finetuna_flows.results.portable import metadata, to_ase, to_pymatgen
from finetuna_flows.results.service import ServiceDoc
from finetuna_flows.structures.fingerprint import start_key
from finetuna_flows.structures.inferred import inferred
from finetuna_flows.structures.tags import tagged_adsorbate

PACKAGES = (
    "finetuna-flows",
    "ase",
    "chgnet",
    "fairchem-core",
    "gpaw",
    "gpaw-data",
    "numpy",
    "pymatgen",
    "scipy",
    "tblite",
    "torch",
)
"""Those whose version can change a number."""


def build_relaxation_doc(
    relaxation: Relaxation,
    *,
    name: str,
    spec: Mapping[str, object],
    tags: Iterable[str] = (),
    dir_name: str | Path | None = None,
    paused_time: float = 0.0,
    damaged: Iterable[str] = (),
) -> RelaxationDoc:
    """Turn a finished relaxation into its document.

    Parameters
    ----------
    relaxation
        However it was relaxed.
    name
        What the user calls it.
    spec
        What the user chose: the Maker's ``as_dict()``.
    tags
        The user's words to find it again.
    dir_name
        Folder of the run.
    paused_time
        Seconds that the parent's processors were left to others.
    damaged
        What of the files that it was read from could not be read.
    """
    endpoint = relaxation.endpoint
    label = endpoint.label if endpoint else None
    structure = to_pymatgen(relaxation.final)
    now = datetime.now(UTC)
    return RelaxationDoc(
        **metadata(structure),
        uuid=str(uuid4()),
        name=name,
        system=_said_of(relaxation.start),
        adsorbate=adsorbate_formula(relaxation.start),
        tags=tuple(tags),
        method=relaxation.method,
        parent_mode=_parent_mode(spec),
        level_of_theory=relaxation.level,
        spec=dict(spec),
        structure=structure,
        initial_structure=to_pymatgen(relaxation.start),
        energy=label.energy if label else None,
        energy_per_atom=label.energy / len(relaxation.start) if label else None,
        free_energy=label.free_energy if label else None,
        forces=label.forces.tolist() if label else None,
        fmax=relaxation.fmax,
        fmax_threshold=relaxation.fmax_threshold,
        converged=relaxation.converged,
        state=TaskState.SUCCESS if relaxation.converged else TaskState.FAILED,
        stop_reason=relaxation.stop_reason,
        stop_sentence=relaxation.stop_reason.sentence,
        integrity=relaxation.integrity,
        integrity_sentence=relaxation.integrity.sentence,
        n_steps=len(relaxation.steps),
        parent_calls=relaxation.parent_calls,
        replayed_calls=sum(step.replayed for step in relaxation.labelled),
        scf_cycles=relaxation.scf_cycles,
        query_reasons=dict(
            Counter(chain.from_iterable(step.decision.reasons for step in relaxation.labelled))
        ),
        timings=timings(relaxation.steps),
        paused_time=paused_time,
        inferred=(*inferred(relaxation.start), *relaxation.inferred),
        force_consistency=force_consistency(relaxation),
        damaged=tuple(damaged),
        packages=packages(),
        dir_name=_with_host(Path(dir_name).resolve()) if dir_name is not None else None,
        completed_at=now,
        last_updated=now,
        trajectory=trajectory(relaxation),
        ledger=ledger(relaxation),
    )


def build_comparison_doc(
    rows: Sequence[ComparisonRow],
    *,
    name: str,
    system: str | None,
    reference_method: str,
    energy_tolerance: float,
    initial_structure: Structure | Molecule | None,
) -> ComparisonDoc:
    """Put the rows of a comparison under the metadata of the structure they started from."""
    start = to_ase(initial_structure) if initial_structure is not None else None
    return ComparisonDoc(
        **(metadata(initial_structure) if initial_structure is not None else {}),
        uuid=str(uuid4()),
        name=name,
        system=system,
        system_key=start_key(start) if start is not None else "",
        adsorbate=adsorbate_formula(start) if start is not None else None,
        reference_method=reference_method,
        energy_tolerance=energy_tolerance,
        initial_structure=initial_structure,
        rows=tuple(rows),
        last_updated=datetime.now(UTC),
    )


def build_finetune_doc(
    report: AdaptReport,
    *,
    name: str,
    surrogate: str,
    folder: Path,
    spec: Mapping[str, object],
    wall_time: float,
) -> FineTuneDoc:
    """Turn how an adaptation went into its document; what the others mean, its fields say."""
    return FineTuneDoc(
        uuid=str(uuid4()),
        name=name,
        surrogate=surrogate,
        folder=_with_host(folder),
        spec=dict(spec),
        n_frames=sum(each.n_frames for each in report.systems),
        systems=tuple(AdaptedSystem(**asdict(each)) for each in report.systems),
        error_before=report.errors[0],
        error_after=report.errors[report.best_epoch],
        epochs=len(report.losses),
        best_epoch=report.best_epoch,
        wall_time=wall_time,
        packages=packages(),
        completed_at=datetime.now(UTC),
    )


def build_service_doc(
    work: Mapping[str, Any],
    *,
    name: str,
    tags: Iterable[str],
    spec: Mapping[str, object],
    twins: str,
    directory: Path,
) -> ServiceDoc:
    """Turn what a parent did, a `colocation` report as a mapping, into its document."""
    return ServiceDoc(
        uuid=str(uuid4()),
        name=name,
        tags=tuple(tags),
        twins=twins,
        level_of_theory=work["level"],
        spec=dict(spec),
        parent_calls=work["calls"],
        recalled_calls=work["recalled"],
        scf_cycles=work["scf_cycles"],
        label_time=work["label_time"],
        waiting_time=work["waiting_time"],
        paused_time=work["paused_time"],
        dir_name=_with_host(directory),
        completed_at=datetime.now(UTC),
    )


def _with_host(folder: Path) -> str:
    return f"{gethostname()}:{folder}"


def adsorbate_formula(atoms: Atoms) -> str | None:
    """Hill formula of the atoms that are tagged as adsorbate; None where none is."""
    adsorbate = tagged_adsorbate(atoms)
    return str(atoms[adsorbate].get_chemical_formula("hill")) if adsorbate else None


def _said_of(atoms: Atoms) -> str | None:
    """What the user calls the structure."""
    said = atoms.info.get("system")
    return None if said is None else str(said)


def _parent_mode(spec: Mapping[str, Any]) -> str | None:
    """The continuation of the parent's spec, which a twin's holds one deeper."""
    parent = spec.get("parent")
    if not isinstance(parent, Mapping):
        return None
    mode = parent.get("continuation")
    if isinstance(mode, Mapping):  # an enum, as monty writes it
        mode = mode["value"]
    return _parent_mode(parent) if mode is None else str(mode)


def packages() -> dict[str, str]:
    """Versions of what is installed among `PACKAGES`, and of Python."""
    return dict(_installed())


@cache
def _installed() -> Mapping[str, str]:
    """Looked up once a process: it takes longer than the rest of a document."""
    found = {"python": python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an optional engine or model
    return found
