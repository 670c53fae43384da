"""The seams: what a user writes (specs) and what runs (surrogate, parent, criterion, tuner).

A spec is frozen, MSONable and lives in a Maker's field; ``build()`` makes the live object on
the machine that runs it. Live objects (models, processes, sockets) never cross a job.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, runtime_checkable

from ase import Atoms

from finetuna_flows.geometry import Mask
from finetuna_flows.history import History
from finetuna_flows.records import Decision, Features, FitReport, Frame, Label, Prediction

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

T_co = TypeVar("T_co", covariant=True)


class Spec(Protocol[T_co]):
    """The user's words for something that runs."""

    def build(self) -> T_co:
        """Make the live object, here and now."""
        ...


class Surrogate(Protocol):
    """A cheap model of the potential energy surface."""

    @property
    def elements(self) -> frozenset[str] | None:
        """Symbols that it knows; None where it cannot be known beforehand."""
        ...

    def predict(self, atoms: Atoms) -> Prediction:
        """Energy and forces at one geometry; never changes the atoms.

        Raises
        ------
        SurrogateError
            If the prediction is not finite, or the geometry is one it cannot answer for.
        """
        ...


@runtime_checkable
class TrainableSurrogate(Surrogate, Protocol):
    """A surrogate with weights that gradient descent can change."""

    @property
    def head(self) -> tuple[str, ...]:
        """Patterns of the parameter names that make its output head."""
        ...

    def named_parameters(self) -> Iterable[tuple[str, Parameter]]:
        """All weights with their names."""
        ...

    def prepare(self, atoms: Atoms) -> object:
        """Turn a geometry into the model's own input, once, for many calls of `evaluate`."""
        ...

    def evaluate(self, prepared: object) -> tuple[Tensor, Tensor]:
        """Energy () in eV and forces (n, 3) in eV/Å, differentiable in the weights."""
        ...


@runtime_checkable
class CacheableSurrogate(TrainableSurrogate, Protocol):
    """A trainable surrogate whose head acts on what the rest of the model makes of a geometry.

    While only the head is trained the rest stays as it is, so one pass through it serves all
    epochs.
    """

    def cache(self, prepared: object, free: Mask) -> object:
        """What the rest of the model hands to the head at a geometry, and how that varies there.

        Forces on components that are not `free`, shape (n, 3), need not be kept.
        """
        ...

    def evaluate_head(self, cached: object) -> tuple[Tensor, Tensor]:
        """As `evaluate`, from what `cache` kept; zero forces where they were not."""
        ...


@runtime_checkable
class BranchingSurrogate(CacheableSurrogate, Protocol):
    """A cacheable surrogate whose backbone, all below the head, may be another's too.

    Several that differ in the head alone pass a geometry through their backbone once.
    """

    def shares_backbone(self, other: object) -> bool:
        """Whether `other` makes the same of every geometry but for its head, as both are now."""
        ...

    def pass_backbone(self, atoms: Atoms) -> object:
        """Pass a geometry through all below the head, once, for any number of `predict_head`.

        Raises
        ------
        SurrogateError
            If it is one that the surrogate cannot answer for.
        """
        ...

    def predict_head(self, passed: object) -> Prediction:
        """As `predict`, from what `pass_backbone` made, here or where the backbone is shared."""
        ...


@runtime_checkable
class FeatureSurrogate(Surrogate, Protocol):
    """A surrogate that shows the descriptors it makes of a whole structure."""

    def features(self, atoms: Atoms, free: Mask) -> Features:
        """Descriptors and their derivatives at one geometry; never changes the atoms."""
        ...


@runtime_checkable
class LastLayerSurrogate(Surrogate, Protocol):
    """A surrogate whose energy is linear in the weights of the last layer of its head."""

    def last_layer_inputs(self, atoms: Atoms, free: Mask) -> Features:
        """What the layer weighs, summed over the atoms; never changes the atoms.

        If its weights change by w, then the energy by ``w @ values``.
        """
        ...


class Correction(Protocol):
    """What labels teach on top of another prediction."""

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:
        """Correct the prediction `below`, which holds all that stands under this one."""
        ...


@runtime_checkable
class CorrectableSurrogate(Surrogate, Protocol):
    """A prior and an ordered stack of named corrections on top of it."""

    @property
    def prior(self) -> Surrogate:
        """The surrogate at the bottom of the stack."""
        ...

    def correct(self, name: str, correction: Correction) -> None:
        """Put `correction` in the place of the one called `name`, or on top of the stack."""
        ...

    def predict_below(self, name: str, atoms: Atoms) -> Prediction:
        """Prediction of the prior and of the corrections under the one called `name`."""
        ...


@runtime_checkable
class MemberedSurrogate(Surrogate, Protocol):
    """A surrogate that is the mean of others, each of which can learn by itself."""

    @property
    def members(self) -> Sequence[CorrectableSurrogate]:
        """At least two."""
        ...

    def align(self, atoms: Atoms) -> None:
        """Count the spread of the energies from zero at this geometry, as the members are now."""
        ...


class FineTuner(Protocol):
    """Learns from labels; built round one surrogate, which it alone may change."""

    def update(self, frames: Sequence[Frame]) -> FitReport:
        """Learn from all labels so far, oldest first.

        Raises
        ------
        FineTuningError
            If nothing could be learned.
        """
        ...


class TunerSpec(Protocol):
    """The user's words for a tuner."""

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Make the tuner round `surrogate`.

        Raises
        ------
        ValueError
            If the surrogate cannot learn in this way; the message says which can.
        """
        ...


class ParentCalculator(Protocol):
    """The reference that labels geometries; a context manager that leaves nothing running."""

    @property
    def level(self) -> str:
        """Level of theory in words, with the settings that decide its numbers."""
        ...

    @property
    def elements(self) -> frozenset[str] | None:
        """Symbols that it knows; None where it cannot be known beforehand."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def label(self, atoms: Atoms) -> Label:
        """Energy and raw forces at one geometry; never changes the atoms.

        Raises
        ------
        ParentError
            If there is no usable answer; ``retryable`` says whether asking again can help.
        """
        ...


@runtime_checkable
class PreparingParent(ParentCalculator, Protocol):
    """A parent whose settings depend on the structure, and can be wrong for it."""

    def prepare(self, atoms: Atoms) -> None:
        """Work the settings out, which `level` then names; nothing is started.

        Raises
        ------
        ParentError, ValueError
            If this structure cannot be labelled with these settings.
        """
        ...

    @property
    def settings(self) -> str:
        """What was worked out, as the engine reads it; empty before that."""
        ...


@runtime_checkable
class RestingParent(ParentCalculator, Protocol):
    """A parent that holds processors between labels, and can leave them to others."""

    def rest(self) -> None:
        """Leave them until the next label; said when the last one is safe on disk.

        Raises
        ------
        ParentError
            If it cannot, and must.
        """
        ...


class QueryCriterion(Protocol):
    """Decides whether the parent is asked; pure: same past, same answer."""

    def decide(self, past: History, atoms: Atoms, prediction: Prediction) -> Decision:
        """Judge the geometry that comes after `past`."""
        ...
