"""What is kept of a run: one document for a relaxation, one for a comparison of methods.

The documents follow emmet and atomate2: the metadata of the structure (``formula_pretty``,
``chemsys``, …) stands at the top, next to ``structure``, ``state``, ``dir_name`` and ``tags``. What
grows with the run is under the keys of `DATA_KEYS`, to be given to jobflow as
``@job(data=DATA_KEYS)``: it then goes to the additional store ``data``, and a `BlobReference`
stays in its place until it is loaded.

A structure that is periodic in no direction is a pymatgen ``Molecule``; its `structure` field
keeps that name, so that ``job.output.structure`` is always what the next Maker takes.
"""

from __future__ import annotations

from typing import Annotated

from emmet.core.structure import StructureMetadata
from emmet.core.types.enums import TaskState
from monty.json import jsanitize
from pydantic import BeforeValidator, ConfigDict, PlainSerializer
from pymatgen.core.structure import Molecule, Structure

from finetuna_flows.reasons import FailureReason, Integrity, QueryReason, StopReason
from finetuna_flows.results.document_parts import (
    BlobReference,
    Document,
    ForceConsistency,
    LedgerEntry,
    Timings,
    Trajectory,
    UtcTime,
    Vector,
)

SCHEMA_VERSION = 1
DATA_KEYS = ("trajectory", "ledger")

Spec = dict[str, object]


AnyStructure = Annotated[
    Structure | Molecule, PlainSerializer(lambda held: held.as_dict(), when_used="json-unless-none")
]


def plain(spec: object) -> object:
    """Return a spec as plain JSON, from which it can be rebuilt.

    It also undoes what a decoder that builds every object it meets has done to one.
    """
    return jsanitize(spec, strict=True)


class RelaxationDoc(StructureMetadata):
    """One relaxation, verified by its parent, whichever method produced it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: int = SCHEMA_VERSION
    """Of this document; raised when a field changes its meaning."""
    uuid: str
    """Of this document; not the one of the job that made it."""
    name: str
    """What the user calls this way of relaxing; comparisons put relaxations together by it."""
    system: str | None = None
    """What the user calls the structure: ``info["system"]`` of Atoms, ``properties["system"]`` of
    a Structure, from the command line the name of the file; None where nothing was said."""
    adsorbate: str | None = None
    """Hill formula of the atoms that are tagged as adsorbate; None where none is."""
    tags: tuple[str, ...] = ()
    """The user's words to find it again."""
    method: str
    """How it was relaxed: ``online``, ``BFGS``, …"""
    parent_mode: str | None = None
    """What the parent kept between labels: ``cold``, ``restart`` or ``kept``, the FINETUNA paper's
    M1, M2 and M3; None where the engine does not distinguish."""
    level_of_theory: str
    """Of the parent, in words."""
    spec: Annotated[Spec, BeforeValidator(plain)]
    """Everything the user chose, as plain JSON; the Maker is rebuilt from it."""

    structure: AnyStructure
    """The newest geometry that the parent labelled; a Molecule where nothing is periodic."""
    initial_structure: AnyStructure
    """As it was given."""
    energy: float | None
    """The parent's energy at `structure` in eV; None if the parent never answered."""
    energy_per_atom: float | None
    """The same in eV per atom."""
    free_energy: float | None
    """What the parent's forces are the gradient of, eV; None where the engine has none."""
    forces: tuple[Vector, ...] | None
    """The parent's forces at `structure` in eV/Å, on all atoms, constraints not applied."""
    fmax: float | None
    """The parent's largest force at `structure` over the free components, eV/Å."""
    fmax_threshold: float
    """eV/Å that it had to reach."""
    converged: bool
    """Whether it did."""
    state: TaskState
    """``successful`` if converged, else ``failed``."""
    stop_reason: StopReason
    """Why the relaxation ended."""
    stop_sentence: str
    """The same in words."""
    integrity: Integrity
    """What became of the adsorbate."""
    integrity_sentence: str
    """The same in words."""

    n_steps: int
    """Geometries, labelled or predicted."""
    parent_calls: int
    """Labels that this relaxation took, replayed ones included, and damaged ones of an import."""
    replayed_calls: int
    """Labels among them that were taken from the checkpoint of an earlier run."""
    scf_cycles: int | None
    """Electronic iterations over all labels; None if one of them does not say."""
    query_reasons: dict[QueryReason, int]
    """How often the parent was asked for which reason; one call may have several."""
    timings: Timings
    """Where the wall time went."""
    paused_time: float = 0.0
    """Seconds that the parent's processors were left to others, as far as this run saw."""

    inferred: tuple[str, ...] = ()
    """What was inferred, and from what, a sentence each: of `initial_structure` the adsorbate and
    the surface normal; of an import also its method, the order of its parts, what was not read."""
    force_consistency: ForceConsistency | None = None
    """Whether the parent's forces are the gradient of its energies; None in older documents."""
    damaged: tuple[str, ...] = ()
    """Of a relaxation that was imported: what of its files could not be read, by file and row."""
    packages: dict[str, str]
    """Version of each package that can change a number."""
    dir_name: str | None = None
    """Folder of the run, with its host."""
    completed_at: UtcTime
    """When the relaxation ended (UTC)."""
    last_updated: UtcTime
    """When this document was last changed (UTC)."""

    trajectory: Trajectory | BlobReference | None = None
    """Every step; in the store ``data``."""
    ledger: tuple[LedgerEntry, ...] | BlobReference | None = None
    """Every parent call; in the store ``data``."""


class ComparisonRow(Document):
    """One method of a comparison; what cannot be said is None, and `note` says why."""

    method: str
    """What this comparison calls the way it was relaxed."""
    state: TaskState
    """``successful``, ``failed`` (not converged), or ``error`` (there is no relaxation)."""
    converged: bool
    """Whether the parent's own forces reached the threshold."""
    note: str = ""
    """What the numbers do not say."""
    uuid: str | None = None
    """Of the RelaxationDoc."""
    level_of_theory: str | None = None
    """Of its parent."""
    parent_calls: int | None = None
    """Labels that it took."""
    parent_calls_ratio: float | None = None
    """The same relative to the reference's."""
    parent_mode: str | None = None
    """As in `RelaxationDoc`."""
    scf_cycles: int | None = None
    """Electronic iterations over all labels."""
    scf_cycles_ratio: float | None = None
    """The same relative to the reference's."""
    timings: Timings | None = None
    """Where the wall time went."""
    energy: float | None = None
    """The parent's energy at the endpoint, eV."""
    energy_difference: float | None = None
    """The same minus the reference's, eV."""
    passes_energy_test: bool | None = None
    """Whether that is at most `energy_tolerance`: the paper's one-sided test of success."""
    strict_success: bool | None = None
    """Whether it passes that test, is converged by the parent's own forces to its own and to the
    reference's threshold, and ends in the reference's minimum, or in a lower one with the adsorbate
    as it was, as far as an adsorbate is tagged."""
    failures: tuple[FailureReason, ...] = ()
    """Why `strict_success` is False."""
    fmax: float | None = None
    """The parent's largest free force at the endpoint, eV/Å."""
    fmax_threshold: float | None = None
    """eV/Å that it had to reach."""
    damaged: int = 0
    """Parts of the files of an import that could not be read; its calls may be more."""
    same_minimum: bool | None = None
    """Whether the endpoint is the reference's: same bonds, and the atoms at the same places."""
    rmsd: float | None = None
    """Root mean square distance of the free atoms from the reference's endpoint, Å."""
    integrity: Integrity | None = None
    """What became of the adsorbate."""
    stop_reason: StopReason | None = None
    """Why the relaxation ended."""
    repeats: int = 0
    """Other relaxations of this structure by this method, older or replayed, which do not count."""


class ComparisonDoc(StructureMetadata):
    """One structure relaxed by several methods."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    schema_version: int = SCHEMA_VERSION
    """Of this document; raised when a field changes its meaning."""
    uuid: str
    """Of this document."""
    name: str
    """What the user calls this comparison."""
    system: str | None = None
    """What the user calls the structure, as in `RelaxationDoc`."""
    system_key: str = ""
    """Digest of the geometry that all started from: of one structure always the same."""
    adsorbate: str | None = None
    """As in `RelaxationDoc`."""
    reference_method: str
    """What the others are measured against."""
    energy_tolerance: float
    """eV above the reference that still counts as success."""
    initial_structure: AnyStructure | None
    """What all of them started from; None if there is no relaxation at all."""
    rows: tuple[ComparisonRow, ...]
    """One for each method, the reference first."""
    last_updated: UtcTime
    """When this document was made (UTC)."""

    def row(self, method: str) -> ComparisonRow:
        """Look one method up.

        Raises
        ------
        KeyError
            If it took no part.
        """
        return {row.method: row for row in self.rows}[method]
