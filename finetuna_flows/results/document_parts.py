"""The parts of documents: times, timings, what a trajectory and a ledger hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from finetuna_flows.reasons import QueryReason

Vector = tuple[float, float, float]


def _in_utc(time: datetime) -> datetime:
    """MongoDB gives times in UTC without saying so."""
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


UtcTime = Annotated[datetime, AfterValidator(_in_utc)]


class Document(BaseModel):
    """A frozen part of a document."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class BlobReference(Document):
    """Stands for what lies in an additional store until it is loaded."""

    model_config = ConfigDict(extra="ignore")

    blob_uuid: str
    """Key of the object in that store."""
    store: str
    """Name of the store in the JobStore."""


class Timings(Document):
    """Where the wall time went, in seconds."""

    parent: float
    """Seconds that the parent took for all labels, replayed ones included."""
    tuning: float
    """Seconds spent on learning from labels."""
    prediction: float
    """Seconds spent on predictions of the surrogate."""
    overhead: float
    """Seconds spent on everything else: decisions, optimizer, checkpoint."""
    total: float
    """Seconds in all: the sum of the four."""
    replayed: float = 0.0
    """Seconds of `parent` that an earlier, interrupted run spent."""


class ForceConsistency(Document):
    """Whether the parent's forces are the gradient of its energies, as far as its labels tell."""

    gradient: bool
    """False where the newest judged label contradicts, or more than one and a quarter of all.
    The run may be converged all the same: where one more label beside its end agrees with it."""
    judged: int
    """Labels near enough to an earlier one for their energies and forces to be compared."""
    contradicting: int
    """Those among them whose forces are not the gradient of the energies."""
    contradiction: str | None = None
    """The worst contradiction in numbers; None where there is none."""
    net_force: float | None = None
    """eV/Å; median over the labels of the length of the sum of all forces, zero for atoms alone.
    None where the parent tells no forces of fixed atoms."""
    noise: str | None = None
    """That the forces are noisier than the threshold, with numbers; None where they are not."""


class Trajectory(Document):
    """Every geometry of a relaxation, step by step, as plain lists."""

    symbols: tuple[str, ...]
    """Chemical symbols, in the order of the atoms in everything below."""
    cell: tuple[Vector, Vector, Vector]
    """Cell vectors in Å."""
    pbc: tuple[bool, bool, bool]
    """Periodic directions."""
    free: tuple[tuple[bool, bool, bool], ...]
    """Whether an atom may move along x, y and z."""
    positions: tuple[tuple[Vector, ...], ...]
    """Å, not wrapped into the cell."""
    energies: tuple[float, ...]
    """eV; what the optimizer was told: the parent's word where there is one."""
    forces: tuple[tuple[Vector, ...], ...]
    """eV/Å on all atoms, constraints not applied; what the optimizer was told."""
    labelled: tuple[bool, ...]
    """Whether the parent was asked."""
    fmax: tuple[float, ...]
    """Largest free force of what the optimizer was told, eV/Å."""
    predicted_energies: tuple[float | None, ...]
    """The surrogate's energy before the parent was asked, eV; None where it was not asked."""
    predicted_fmax: tuple[float | None, ...]
    """The surrogate's largest free force before the parent was asked, eV/Å."""
    predicted_spread: tuple[float | None, ...]
    """Largest standard deviation of a free atom's predicted force, eV/Å; None if not known."""


class LedgerEntry(Document):
    """One parent call."""

    index: int
    """Number of the call, from 0."""
    step: int
    """Index of the step that asked."""
    reasons: tuple[QueryReason, ...]
    """Why it asked."""
    energy: float
    """eV."""
    free_energy: float | None
    """eV; what the forces are the gradient of; None where the engine has none."""
    fmax: float
    """The parent's largest free force, eV/Å."""
    scf_cycles: int | None
    """Electronic iterations; None where the engine does not say."""
    wall_time: float
    """Seconds that the parent took."""
    restarts: int = 0
    """How often the engine crashed and was started again for this call."""
    replayed: bool
    """Whether the label was taken from the checkpoint of an earlier run."""
    predicted_energy: float | None
    """What the surrogate had predicted, eV; None where a method asks the parent alone."""
    predicted_fmax: float | None
    """What the surrogate had predicted, eV/Å."""
    force_error: float | None = None
    """Of what the surrogate had predicted, eV/Å: root mean square over the free components."""
    tuned_force_error: float | None = None
    """The same after tuning, over all labels that took part in it; None where nothing was learned.
    In an imported run whose files tell it of this label alone, of this label."""
