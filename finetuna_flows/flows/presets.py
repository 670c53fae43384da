"""Ways to run the online relaxation, by name."""

from __future__ import annotations

from collections.abc import Callable

from finetuna_flows.finetuning.specs import GradientSpec
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.queries.combine import AnyOf
from finetuna_flows.queries.convergence import RelaxedOnly
from finetuna_flows.queries.every_k import EveryK
from finetuna_flows.queries.fixed import FirstN
from finetuna_flows.surrogates.specs import CHGNetSpec, NuclearSpec


def finetuna_2022() -> OnlineRelaxMaker:
    """The paper's rules: gradient tuning on the newest label, every 100 steps and at the end."""
    return OnlineRelaxMaker(
        surrogate=CHGNetSpec(),
        tuner=GradientSpec(),
        criterion=AnyOf((FirstN(1), EveryK(100), RelaxedOnly())),
        returns_to_best=False,
        endpoint_fraction=1.0,
    )


def chgnet() -> OnlineRelaxMaker:
    """The default with CHGNet for a prior, which is four times as quick to ask."""
    return OnlineRelaxMaker(surrogate=CHGNetSpec())


def no_network() -> OnlineRelaxMaker:
    """All from labels: repulsion of nuclei, pair potential and Gaussian process, any element."""
    return OnlineRelaxMaker(surrogate=NuclearSpec())


PRESETS: dict[str, Callable[[], OnlineRelaxMaker]] = {
    "finetuna-2022": finetuna_2022,
    "fast": OnlineRelaxMaker,
    "chgnet": chgnet,
    "no-network": no_network,
}
"""Each makes a Maker whose other fields may still be set."""


DEFAULT = "fast"
"""The preset of `OnlineRelaxMaker` itself: of those above, the one that needed the fewest parent
calls on the development systems (``benchmarks/RESULTS.md``)."""


def preset(name: str) -> OnlineRelaxMaker:
    """The Maker of a preset.

    Raises
    ------
    ValueError
        Naming those that there are.
    """
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r} but must be one of {', '.join(PRESETS)}")
    return PRESETS[name]()
