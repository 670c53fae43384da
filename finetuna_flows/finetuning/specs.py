"""The tuners in a user's words; importing this costs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from monty.json import MSONable

from finetuna_flows.checks import check_integers
from finetuna_flows.finetuning.pair_basis import SHORTEST
from finetuna_flows.protocols import CorrectableSurrogate, FineTuner, TunerSpec

LEAST_PAIR_RANGE = 0.5
"""Å; what the pair potential's cutoff needs above its shortest distance, so that the terms reach
at least the bonds of light elements."""


def as_patterns(name: str, patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns of the field `name` as a tuple.

    Raises
    ------
    TypeError
        If they are a string, of which every letter would be a pattern, or hold something else.
    """
    if isinstance(patterns, str):
        raise TypeError(
            f"`{name}` is the string {patterns!r} but must be a sequence of patterns; "
            f"write ({patterns!r},)"
        )
    kept = tuple(patterns)
    if not all(isinstance(pattern, str) for pattern in kept):
        raise TypeError(f"`{name}` is {patterns!r} but must be a sequence of patterns (strings)")
    return kept


@dataclass(frozen=True)
class GradientSpec(MSONable):
    """Gradient descent on the surrogate's output head: the recipe of the FINETUNA paper.

    Musielewicz, Wang, Tian, Ulissi, Mach. Learn.: Sci. Technol. 3, 03LT01 (2022); what the
    paper leaves open (no weight decay, the learning rate that ends an update) is as in
    ``sample_config.yml`` of the authors' repository ulissigroup/finetuna.
    """

    head: tuple[str, ...] | None = None
    """Patterns (``*`` and ``?`` as in file names) of the parameters to train; all others are
    frozen. None: the output head that the surrogate names itself."""
    learning_rate: float = 3e-4
    """Of AdamW."""
    epochs: int = 400
    """Passes over the labels in one update."""
    factor: float = 0.9
    """By which ReduceLROnPlateau lowers the learning rate."""
    patience: int = 3
    """Epochs without progress before it does."""
    min_learning_rate: float = 1e-7
    """Below it an update ends early."""
    window: int | None = 1
    """How many of the newest labels to train on; None: all."""
    energy_weight: float = 0.0
    """Of the energy per atom in the loss; the forces weigh 1."""
    cached: bool = True
    """Whether to pass the frozen part of the model once for each label instead of in each epoch.
    Where more than the head that the surrogate names itself is trained, that cannot be."""
    gives_uncertainty: ClassVar[bool] = False
    """Whether the surrogate knows its spread after an update."""

    def __post_init__(self) -> None:
        if self.head is not None:
            object.__setattr__(self, "head", as_patterns("head", self.head))
        check_integers(self, "epochs", "patience", *(() if self.window is None else ("window",)))
        rules = {
            "learning_rate": (self.learning_rate > 0, "positive"),
            "min_learning_rate": (self.min_learning_rate >= 0, "zero or more"),
            "epochs": (self.epochs >= 1, "at least 1"),
            "factor": (0 < self.factor < 1, "between 0 and 1"),
            "patience": (self.patience >= 0, "zero or more"),
            "window": (self.window is None or self.window >= 1, "at least 1, or None for all"),
            "energy_weight": (self.energy_weight >= 0, "zero or more"),
        }
        for name, (kept, rule) in rules.items():
            if not kept:
                raise ValueError(f"`{name}` is {getattr(self, name)} but must be {rule}")

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Freeze all but the head of the surrogate's prior."""
        from finetuna_flows.finetuning.gradient import GradientTuner

        return GradientTuner(self, surrogate)


@dataclass(frozen=True)
class ResidualGPSpec(MSONable):
    """Gaussian process on parent minus surrogate, and a pair potential learned jointly with it.

    The process is a smooth function of the free atoms' coordinates; the pair potential is linear
    in its coefficients and shared by all pairs of the same two elements.
    """

    length: float = 0.9
    """Å; length scale of the squared-exponential kernel. Calibrated by parent calls on six of the
    systems published with FINETUNA (their fitted potentials as parents; CHGNet and a bare
    repulsion as priors), 2026-11: 0.9 to 1.3 differ little, 1.8 and more need more calls."""
    force_noise: float = 2e-3
    """eV/Å; how exactly the parent's forces are reproduced. With the repulsion as prior anything
    from 5e-4 to 1e-2 did as well on the same systems; a noise that grows with the residual (2 %)
    cost many calls. Raise it to the parent's own noise if that is larger: labels that contradict
    each other inflate the spread."""
    energy_noise: float = 1e-3
    """eV; how exactly its energies are, up to one constant. 1e-2 did as well on the same systems,
    1 eV (forces alone) did worse."""
    smallest_force: float = 0.05
    """eV/Å; however well the surrogate did at its labels, its force errors elsewhere are expected
    to vary by at least this much. A guess."""
    pair_weight: float = 3.0
    """How many times more the forces are expected to vary by a pair potential, learned jointly,
    than by the smooth rest; 0 leaves the pair potential out."""
    pair_cutoff: float = 4.5
    """Å; of the pair potential."""
    pair_functions: int = 10
    """Gaussians between 0.7 Å and the cutoff, for each pair of elements."""
    features: bool = False
    """Whether a smooth function of the prior's descriptors, summed over the atoms, is added to the
    one of the coordinates, for priors that show them. Each prediction then costs as many passes
    backwards through the model as there are descriptors or free components."""
    length_bounds: tuple[float, float] | None = None
    """Å; if given, length and pair weight are those of the largest marginal likelihood, the
    length within these bounds, and each update starts from scratch."""
    pair_weight_bounds: tuple[float, float] = (0.3, 10.0)
    """Where the likelihood looks for the pair weight."""
    gives_uncertainty: ClassVar[bool] = True
    """Whether the surrogate knows its spread after an update."""

    def __post_init__(self) -> None:
        check_integers(self, "pair_functions")
        for name in ("length", "force_noise", "energy_noise", "smallest_force", "pair_cutoff"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` is {getattr(self, name)} but must be positive")
        if not self.pair_cutoff >= SHORTEST + LEAST_PAIR_RANGE:
            raise ValueError(
                f"`pair_cutoff` is {self.pair_cutoff} Å but must be at least "
                f"{SHORTEST + LEAST_PAIR_RANGE:.1f}: the Gaussians start at {SHORTEST} Å; set "
                "`pair_weight` to 0 to leave the pair potential out"
            )
        if not self.pair_weight >= 0:
            raise ValueError(f"`pair_weight` is {self.pair_weight} but must be zero or more")
        if self.pair_functions < 2:
            raise ValueError(f"`pair_functions` is {self.pair_functions} but must be at least 2")
        if self.length_bounds is not None and self.pair_weight_bounds is None:
            raise ValueError(
                "`pair_weight_bounds` is None but `length_bounds` is set, so that the likelihood "
                "looks for the pair weight too; leave `pair_weight_bounds` out for its default"
            )
        for name in ("length_bounds", "pair_weight_bounds"):
            if getattr(self, name) is None:
                continue
            bounds = tuple(getattr(self, name))
            object.__setattr__(self, name, bounds)
            if not (len(bounds) == 2 and 0 < bounds[0] < bounds[1]):
                raise ValueError(f"`{name}` is {bounds} but must be two positive numbers, rising")

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Start with no labels: the surrogate is left as it is until the first update."""
        from finetuna_flows.finetuning.residual import ResidualGPTuner

        return ResidualGPTuner(self, surrogate)


@dataclass(frozen=True)
class CurvatureSpec(MSONable):
    """One factor on the surrogate's whole potential, learned from how forces change.

    Universal pretrained potentials underpredict the curvature systematically: Deng et al., npj
    Comput. Mater. 11, 9 (2025). The estimate of the factor is our own. On slabs with adsorbates
    little is gained: with CHGNet 0.3.0 on 20 systems published with FINETUNA, 2026-11, the best
    factors for neighbouring DFT labels have quartiles of 0.61, 0.87 and 1.06, so that its errors
    there are hardly a softness; the next change of forces is predicted 2 to 5 % more exactly, and
    under a ResidualGPSpec the error at the next labels falls from 0.068 to 0.067 eV/Å only.
    """

    prior_std: float = 0.3
    """How far from 1 the factor is expected before any label. 0.15 to 0.5 differ little there."""
    scatter: float = 0.3
    """Standard deviation of the factors of one system from pair to pair of labels; 0.27 there."""
    noise: float = 0.03
    """eV/Å; of a force component, besides. 0.1 did somewhat worse there."""
    lowest: float = 0.5
    """Bound of the factor."""
    highest: float = 2.0
    """Bound of the factor."""
    gives_uncertainty: ClassVar[bool] = False
    """Whether the surrogate knows its spread after an update; one that it had is stretched."""

    def __post_init__(self) -> None:
        for name in ("prior_std", "scatter", "noise"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` is {getattr(self, name)} but must be positive")
        if not 0 < self.lowest <= 1 <= self.highest:
            raise ValueError(
                f"`lowest` is {self.lowest} and `highest` is {self.highest} but they must be "
                "positive and hold 1 between them"
            )

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Start from a factor of 1."""
        from finetuna_flows.finetuning.curvature import CurvatureTuner

        return CurvatureTuner(self, surrogate)


@dataclass(frozen=True)
class EnsembleTunerSpec(MSONable):
    """A tuner for each member of an EnsembleSpec, all on the same labels."""

    tuners: tuple[TunerSpec, ...] = (GradientSpec(),)
    """Of each member in turn; a single one is every member's."""
    gives_uncertainty: ClassVar[bool] = True
    """Whether the surrogate knows its spread after an update: the members disagree."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tuners", tuple(self.tuners))
        if not self.tuners:
            raise ValueError("`tuners` is empty but an ensemble needs at least 1 tuner")

    @classmethod
    def of_heads(cls, recipe: GradientSpec, heads: Sequence[tuple[str, ...]]) -> EnsembleTunerSpec:
        """Unfreeze another part of the model in each member, as the FINETUNA paper does.

        Parameters
        ----------
        recipe
            What all members share.
        heads
            Patterns of parameter names, as in `GradientSpec.head`, for each member.
        """
        return cls(tuple(replace(recipe, head=head) for head in heads))

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Build every tuner round its member of the surrogate's prior."""
        from finetuna_flows.finetuning.ensemble import EnsembleTuner

        return EnsembleTuner(self, surrogate)


@dataclass(frozen=True)
class LastLayerSpec(MSONable):
    """Bayesian regression of the last layer of the surrogate's head on the parent's forces."""

    window: int | None = None
    """How many of the newest labels to learn from; None: all."""
    noise: tuple[float, float] = (2e-3, 1.0)
    """eV/Å; bounds of what forces the last layer cannot explain, within which it is chosen by its
    evidence. The lower one is that of the parents, as for the Gaussian process."""
    prior: tuple[float, float] = (1e-4, 10.0)
    """eV for a feature of one; bounds of how far weights may be from the pretrained ones, chosen
    likewise. Wide: CHGNet's own last weights vary by 0.9 eV."""
    gives_uncertainty: ClassVar[bool] = True
    """Whether the surrogate knows its spread after an update."""

    def __post_init__(self) -> None:
        if self.window is not None:
            check_integers(self, "window")
        if self.window is not None and self.window < 1:
            raise ValueError(f"`window` is {self.window} but must be at least 1, or None for all")
        for name in ("noise", "prior"):
            bounds = tuple(getattr(self, name))
            if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1]:
                raise ValueError(
                    f"`{name}` is {bounds} but must be two positive bounds, the lower one first"
                )
            object.__setattr__(self, name, bounds)

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Start with no labels: the surrogate is left as it is until the first update."""
        from finetuna_flows.finetuning.last_layer import LastLayerTuner

        return LastLayerTuner(self, surrogate)


@dataclass(frozen=True)
class StackSpec(MSONable):
    """Several tuners one after the other; each learns what those before it left over."""

    tuners: tuple[TunerSpec, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tuners", tuple(self.tuners))
        if not self.tuners:
            raise ValueError("`tuners` is empty but a stack needs at least 1 tuner")
        for tuner in self.tuners[1:]:
            if isinstance(tuner, GradientSpec | EnsembleTunerSpec):
                raise ValueError(
                    f"`tuners` holds a {type(tuner).__name__} that is not the first, but it "
                    "changes the weights under all corrections; put it first"
                )

    @property
    def gives_uncertainty(self) -> bool:
        """Whether one of them makes the surrogate know its spread, or may, not saying."""
        return any(getattr(tuner, "gives_uncertainty", True) for tuner in self.tuners)

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Build every tuner round the same surrogate."""
        from finetuna_flows.finetuning.stack import TunerStack

        return TunerStack([tuner.build(surrogate) for tuner in self.tuners])
