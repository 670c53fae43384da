"""The tuners in a user's words; importing this costs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from monty.json import MSONable

from finetuna_flows.protocols import CorrectableSurrogate, FineTuner, TunerSpec


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

    def __post_init__(self) -> None:
        if self.head is not None:
            object.__setattr__(self, "head", tuple(self.head))
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
    """Gaussian process on parent minus surrogate, in the coordinates of the free atoms."""

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

    def __post_init__(self) -> None:
        for name in ("length", "force_noise", "energy_noise", "smallest_force"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` is {getattr(self, name)} but must be positive")

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Start with no labels: the surrogate is left as it is until the first update."""
        from finetuna_flows.finetuning.residual import ResidualGPTuner

        return ResidualGPTuner(self, surrogate)


@dataclass(frozen=True)
class StackSpec(MSONable):
    """Several tuners one after the other; each learns what those before it left over."""

    tuners: tuple[TunerSpec, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tuners", tuple(self.tuners))
        if not self.tuners:
            raise ValueError("`tuners` is empty but a stack needs at least 1 tuner")
        if any(isinstance(tuner, GradientSpec) for tuner in self.tuners[1:]):
            raise ValueError(
                "`tuners` holds a GradientSpec that is not the first, but it changes the weights "
                "under all corrections; put it first"
            )

    def build(self, surrogate: CorrectableSurrogate) -> FineTuner:
        """Build every tuner round the same surrogate."""
        from finetuna_flows.finetuning.stack import TunerStack

        return TunerStack([tuner.build(surrogate) for tuner in self.tuners])
