"""How a surrogate is adapted to labels of many systems, and how well that went; no torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monty.json import MSONable

from finetuna_flows.checks import check_integers
from finetuna_flows.finetuning.specs import as_patterns
from finetuna_flows.protocols import Spec, Surrogate
from finetuna_flows.records import Frame

if TYPE_CHECKING:
    from finetuna_flows.finetuning.adapt import Adapted

CHECKPOINT = "adapt.pt"
"""Name of the file that a training leaves in its directory after each epoch."""
SAME_ERROR = 1e-7
"""eV/Å; single precision rounds force errors by about as much, so a smaller gain is none."""


@dataclass(frozen=True)
class AdaptRecipe(MSONable):
    """Adam on a Huber loss of the forces on free atoms, stopped by systems that it does not see.

    With the defaults CHGNet's force error on 18 systems published with FINETUNA, left out in four
    folds, falls from 0.23 to 0.13 eV/Å near the end of their relaxations and from 0.28 to 0.17 a
    quarter of the way in, but hardly at the first frame (0.41 to 0.38): ten frames of each of 13
    or 14 other systems, best after two or three epochs of six (``benchmarks/adapted_priors.py``,
    2026-11; the recipe was not tuned). A part of the gain is that the surface gets softer.
    """

    train: tuple[str, ...] | None = None
    """Patterns (``*`` and ``?`` as in file names) of the parameters to train, for example those
    of the output head; None: all but `frozen`."""
    frozen: tuple[str, ...] = (
        "composition_model.*",
        "rescale_atomic_energy.shift",
        "*.denominator",
    )
    """Patterns of parameters that stay, found or not. The default is what CHGNet and SevenNet say
    of a bare composition, of which forces and energy differences know nothing, and SevenNet's mean
    number of neighbours."""
    learning_rate: float = 1e-3
    """Of Adam."""
    epochs: int = 4
    """Passes over the training frames at most."""
    patience: int = 2
    """Epochs without a smaller validation error that end the training. In the four folds above none
    of up to four more epochs did better."""
    batch: int = 4
    """Frames in one step of Adam."""
    delta: float = 0.1
    """eV/Å; force errors beyond it count linearly. As in the combined loss of CHGNet's trainer."""
    energy_weight: float = 0.0
    """Of the energy per atom (eV, up to one constant a system) in the loss; forces weigh 1."""
    validation: float = 0.15
    """Fraction of the systems that is held out; at least one is. A guess."""
    seed: int = 0
    """Decides which systems are held out and the order of the frames."""

    def __post_init__(self) -> None:
        if self.train is not None:
            object.__setattr__(self, "train", as_patterns("train", self.train))
        object.__setattr__(self, "frozen", as_patterns("frozen", self.frozen))
        check_integers(self, "epochs", "patience", "batch", "seed")
        rules = {
            "learning_rate": (self.learning_rate > 0, "positive"),
            "epochs": (self.epochs >= 1, "at least 1"),
            "patience": (self.patience >= 1, "at least 1"),
            "batch": (self.batch >= 1, "at least 1"),
            "delta": (self.delta > 0, "positive"),
            "energy_weight": (self.energy_weight >= 0, "zero or more"),
            "validation": (0 < self.validation < 1, "between 0 and 1"),
        }
        for name, (kept, rule) in rules.items():
            if not kept:
                raise ValueError(f"`{name}` is {getattr(self, name)} but must be {rule}")

    def apply(
        self, frames: Sequence[Frame], spec: Spec[Surrogate], directory: Path | None = None
    ) -> Adapted:
        """Call `adapt.finetune_surrogate`, which says what happens."""
        from finetuna_flows.finetuning.adapt import finetune_surrogate

        return finetune_surrogate(frames, spec, self, directory=directory)


@dataclass(frozen=True)
class SystemErrors(MSONable):
    """What an adaptation did to one system."""

    name: str
    """Its formula, with a number where several systems have the same."""
    n_frames: int
    """Labels of it."""
    held_out: bool
    """Whether it served to validate; else it was trained on."""
    before: float
    """Force error before, eV/Å: root mean square over free components, mean over frames."""
    after: float
    """The same with the weights that were kept."""


@dataclass(frozen=True)
class AdaptReport(MSONable):
    """How an adaptation went."""

    systems: tuple[SystemErrors, ...]
    """In the order in which their first frames came."""
    errors: tuple[float, ...]
    """Force error of the held-out systems in eV/Å (mean over their frames): first before the
    training, then after each epoch."""
    losses: tuple[float, ...]
    """Mean loss on the training frames in each epoch, while the weights moved."""

    def __post_init__(self) -> None:
        for name in ("systems", "errors", "losses"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def best_epoch(self) -> int:
        """The one whose weights were kept, from 1."""
        return best_epoch(self.errors)


def best_epoch(errors: Sequence[float]) -> int:
    """The last epoch that was better than all before it, by more than rounding; 0 if none was.

    Parameters
    ----------
    errors
        eV/Å, before the training and after each epoch.
    """
    best = 0
    for epoch, error in enumerate(errors):
        if error < errors[best] - SAME_ERROR:
            best = epoch
    return best
