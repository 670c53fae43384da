"""The surrogates in a user's words; importing this costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monty.json import MSONable

from finetuna_flows.calculators import absolute
from finetuna_flows.protocols import Surrogate

CHGNET_MODELS = ("0.3.0", "0.2.0", "r2scan")


def cuda_devices() -> tuple[str, ...]:
    """Names of the GPUs that torch finds here."""
    from finetuna_flows.surrogates.device import cuda_devices as found

    return found()


@dataclass(frozen=True)
class CHGNetSpec(MSONable):
    """CHGNet with the weights that its package ships.

    Deng et al., Nature Machine Intelligence 5, 1031 (2023).
    """

    model: str = "0.3.0"
    """Name of the released weights: ``0.3.0``, ``0.2.0`` or ``r2scan``."""

    def __post_init__(self) -> None:
        if self.model not in CHGNET_MODELS:
            raise ValueError(
                f"`model` is {self.model!r} but CHGNet's package ships {', '.join(CHGNET_MODELS)}"
            )

    def build(self) -> Surrogate:
        """Load the weights onto the device that the settings name."""
        from finetuna_flows.surrogates.chgnet import CHGNetSurrogate

        return CHGNetSurrogate(self.model)


@dataclass(frozen=True)
class ToySpec(MSONable):
    """A small trainable pair model with random weights, for documentation and tests."""

    seed: int = 0
    """Of the random weights."""
    cutoff: float = 5.0
    """Å; pairs farther apart do not interact."""

    def __post_init__(self) -> None:
        if not self.cutoff > 0:
            raise ValueError(f"`cutoff` is {self.cutoff} but must be positive")

    def build(self) -> Surrogate:
        """Draw the weights."""
        from finetuna_flows.surrogates.toy import ToySurrogate

        return ToySurrogate(seed=self.seed, cutoff=self.cutoff)


@dataclass(frozen=True)
class AseSurrogateSpec(MSONable):
    """Any ASE calculator as a fixed prior."""

    calculator: str
    """``MODULE:CALLABLE`` or ``FILE.py:CALLABLE``; a file is remembered by its absolute path."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """Passed to the callable by name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "calculator", absolute(self.calculator))
        object.__setattr__(self, "arguments", dict(self.arguments))

    def build(self) -> Surrogate:
        """Call it."""
        from finetuna_flows.surrogates.ase_prior import AseSurrogate

        return AseSurrogate(self.calculator, self.arguments)
