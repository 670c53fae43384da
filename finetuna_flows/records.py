"""The frozen values that travel through a relaxation, from one prediction to the whole run.

A `Step` is one geometry: what the surrogate predicted, what was decided and why, what the
parent said if it was asked, what was learned from that. A `Relaxation` is the finished run,
whichever method produced it.

Units: eV, Å, eV/Å, seconds. Shapes: n atoms.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms

from finetuna_flows.errors import ParentError, SurrogateError
from finetuna_flows.geometry import Array, fmax, free_components, moved
from finetuna_flows.reasons import Integrity, QueryReason, StopReason


@dataclass(frozen=True)
class Prediction:
    """What a surrogate says of one geometry."""

    energy: float
    """eV; on the surrogate's own scale until a label has told the parent's."""
    forces: Array
    """eV/Å, shape (n, 3), on all atoms, constraints not applied."""
    energy_std: float | None = None
    """Standard deviation in eV; None where the surrogate does not know."""
    forces_std: Array | None = None
    """Standard deviations in eV/Å, shape (n, 3); None where the surrogate does not know."""

    def __post_init__(self) -> None:
        """Refuse what is not finite.

        Raises
        ------
        SurrogateError
            A broken model must not look certain.
        """
        for name in ("energy", "forces", "energy_std", "forces_std"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                raise SurrogateError(f"the surrogate predicts {name} that are not finite numbers")


@dataclass(frozen=True)
class Features:
    """Descriptors of a whole structure, p of them, which sum over its atoms."""

    values: Array
    """Shape (p,)."""
    slopes: Array
    """Derivatives by the positions in 1/Å, shape (p, n, 3); zero where they were not asked for."""


@dataclass(frozen=True)
class Label:
    """What the parent says of one geometry."""

    energy: float
    """eV; where the engine smears its electrons, extrapolated to zero width (VASP's E0)."""
    forces: Array
    """eV/Å, shape (n, 3), on all atoms, constraints not applied."""
    free_energy: float | None = None
    """eV; what the forces are the gradient of (VASP's F); None where the engine has none."""
    scf_cycles: int | None = None
    """Electronic iterations spent on this label; None where the engine does not say."""
    wall_time: float = 0.0
    """Seconds that the parent took."""
    restarts: int = 0
    """How often the engine crashed and was started again for this label."""

    def __post_init__(self) -> None:
        """Refuse what is not finite.

        Raises
        ------
        ParentError
            A calculation that returned nonsense is not a label.
        """
        for name in ("energy", "forces", "free_energy"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value).all():
                raise ParentError(f"the parent returned {name} that are not finite numbers")

    @property
    def force_energy(self) -> float:
        """The energy whose gradient the forces are, in eV."""
        return self.energy if self.free_energy is None else self.free_energy


@dataclass(frozen=True)
class Frame:
    """A geometry with its label: what a tuner learns from."""

    atoms: Atoms
    """With constraints and without calculator."""
    label: Label


@dataclass(frozen=True)
class Decision:
    """Whether to ask the parent, and every reason for it."""

    reasons: tuple[QueryReason, ...] = ()

    @property
    def query(self) -> bool:
        """Whether the parent is asked."""
        return bool(self.reasons)


@dataclass(frozen=True)
class FitReport:
    """What one update of the surrogate did."""

    tuner: str
    n_frames: int
    """Labels that took part."""
    force_rmse_before: float
    """eV/Å over the free components of those labels, before the update."""
    force_rmse_after: float
    """The same after the update."""
    epochs: int | None = None
    """Passes over the data; None for a closed form."""
    wall_time: float = 0.0
    """Seconds."""


@dataclass(frozen=True)
class Step:
    """One geometry of a relaxation and all that happened there."""

    index: int
    positions: Array
    """Å, shape (n, 3), not wrapped into the cell."""
    decision: Decision
    prediction: Prediction | None = None
    """None where a method asks the parent alone."""
    label: Label | None = None
    """None where the parent was not asked."""
    fit: FitReport | None = None
    """None where nothing was learned."""
    prediction_time: float = 0.0
    """Seconds spent on the prediction."""
    wall_time: float = 0.0
    """Seconds spent on the whole step."""
    replayed: bool = False
    """Whether the step comes from the checkpoint of an earlier run."""

    @property
    def energy(self) -> float:
        """What the optimizer was told, in eV: the parent's word where there is one."""
        return self.word.energy

    @property
    def force_energy(self) -> float:
        """What an optimizer goes by that compares energies, in eV: the one that fits the forces.

        Where a surrogate took part it is `energy`: predictions are on that scale, up to a constant
        that labels share only on average.
        """
        alone = self.label is not None and self.prediction is None
        return self.label.force_energy if alone and self.label else self.energy

    @property
    def forces(self) -> Array:
        """What the optimizer was told, in eV/Å, shape (n, 3)."""
        return self.word.forces

    @property
    def word(self) -> Label | Prediction:
        """The label where there is one, else the prediction."""
        word = self.label or self.prediction
        if word is None:
            raise ValueError(f"step {self.index} holds neither a prediction nor a label")
        return word

    @property
    def parent_time(self) -> float:
        """Seconds that the parent took."""
        return self.label.wall_time if self.label else 0.0

    @property
    def tuning_time(self) -> float:
        """Seconds spent on learning."""
        return self.fit.wall_time if self.fit else 0.0


@dataclass(frozen=True)
class Relaxation:
    """One finished relaxation: what every method ends in and every comparison starts from."""

    method: str
    """Short name of how it was relaxed, such as ``online`` or ``BFGS``."""
    level: str
    """Level of theory of the parent, in words."""
    start: Atoms
    """The geometry as it was given, with its constraints."""
    steps: tuple[Step, ...]
    stop_reason: StopReason
    fmax_threshold: float
    """eV/Å that the parent's forces had to reach."""
    integrity: Integrity
    """Of the adsorbate at the endpoint, against the start."""
    ended_at: int | None = None
    """Index of the labelled step that is the endpoint; None: the newest label."""
    lost_calls: int = 0
    """Of one that was recorded elsewhere: labels that were paid for but cannot be read."""
    inferred: tuple[str, ...] = ()
    """Of one that was recorded elsewhere: what its files do not say but show, and by what; and
    what lay beside them and shows no place in it."""

    @property
    def converged(self) -> bool:
        """Whether the parent's own forces at the endpoint are below the threshold."""
        return self.stop_reason is StopReason.CONVERGED

    @cached_property
    def labelled(self) -> tuple[Step, ...]:
        """The steps that the parent labelled: the ledger of parent calls."""
        return tuple(step for step in self.steps if step.label is not None)

    @property
    def endpoint(self) -> Step | None:
        """The labelled geometry where the relaxation ended; None if the parent never was asked."""
        if self.ended_at is not None:
            return self.steps[self.ended_at]
        return self.labelled[-1] if self.labelled else None

    @cached_property
    def final(self) -> Atoms:
        """The structure at the endpoint; the start if there is none."""
        return moved(self.start, self.endpoint.positions) if self.endpoint else self.start

    @property
    def energy(self) -> float | None:
        """The parent's energy at the endpoint in eV; None if it never was asked."""
        return self.endpoint.energy if self.endpoint else None

    @property
    def fmax(self) -> float | None:
        """The parent's largest free force at the endpoint in eV/Å; None if never asked."""
        if self.endpoint is None:
            return None
        return fmax(self.endpoint.forces, free_components(self.start))

    @property
    def parent_calls(self) -> int:
        """Labels that this relaxation took, replayed ones and lost ones included."""
        return len(self.labelled) + self.lost_calls

    @property
    def scf_cycles(self) -> int | None:
        """Electronic iterations over all labels; None if one of them does not say, or is lost."""
        if self.lost_calls:
            return None
        return total_cycles(step.label.scf_cycles for step in self.labelled if step.label)


def total_cycles(counts: Iterable[int | None]) -> int | None:
    """Add the SCF cycles of labels up; None where there are none, or one does not say."""
    known = list(counts)
    return None if None in known or not known else sum(n for n in known if n is not None)
