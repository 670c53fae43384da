"""The live parts that the tests of relaxation put together, all real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ase import Atoms

from finetuna_flows.finetuning.specs import ResidualGPSpec
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import FineTuner, ParentCalculator, QueryCriterion
from finetuna_flows.queries.combine import AnyOf
from finetuna_flows.queries.displacement import Displacement
from finetuna_flows.queries.fixed import FirstN
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.checkpoint import Ledger
from finetuna_flows.relaxation.direct import relax_on_parent, relax_warm_start
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.online import relax_online
from finetuna_flows.relaxation.run import Observer
from finetuna_flows.relaxation.tail import Tail
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import AseSurrogateSpec
from tests.systems import EMT, MORSE, MORSE_ARGUMENTS

IDENTITY = {"of": "a test"}
CRITERION = AnyOf((FirstN(1), Displacement(0.5)))


def emt() -> ParentCalculator:
    """EMT as the parent."""
    return AseParentSpec(EMT).build()


def learned() -> tuple[CompositeSurrogate, FineTuner]:
    """A Morse prior, to be corrected by the residual Gaussian process."""
    surrogate = CompositeSurrogate(AseSurrogateSpec(MORSE, MORSE_ARGUMENTS).build())
    return surrogate, ResidualGPSpec().build(surrogate)


def online(
    atoms: Atoms,
    directory: Path,
    *,
    parent: ParentCalculator | None = None,
    criterion: QueryCriterion = CRITERION,
    optimizer: str = "BFGS",
    fmax: float = 0.02,
    limits: Limits | None = None,
    observers: tuple[Observer, ...] = (),
    returns_to_best: bool = True,
    endpoint_fraction: float = 1.0,
    tail: Tail | None = None,
) -> Relaxation:
    """An online relaxation in `directory`."""
    surrogate, tuner = learned()
    with Ledger(directory, IDENTITY) as ledger, parent or emt() as calculator:
        return relax_online(
            atoms,
            surrogate=surrogate,
            tuner=tuner,
            parent=calculator,
            criterion=criterion,
            ledger=ledger,
            fmax=fmax,
            limits=limits or Limits(),
            optimizer=optimizer,
            observers=observers,
            returns_to_best=returns_to_best,
            endpoint_fraction=endpoint_fraction,
            tail=tail,
        )


def direct(
    atoms: Atoms,
    directory: Path,
    *,
    parent: ParentCalculator | None = None,
    optimizer: str = "BFGS",
    fmax: float = 0.02,
    limits: Limits | None = None,
    observers: tuple[Observer, ...] = (),
) -> Relaxation:
    """A relaxation on the parent alone in `directory`."""
    with Ledger(directory, IDENTITY) as ledger, parent or emt() as calculator:
        return relax_on_parent(
            atoms,
            parent=calculator,
            ledger=ledger,
            fmax=fmax,
            limits=limits or Limits(),
            optimizer=optimizer,
            observers=observers,
        )


def warm_start(
    atoms: Atoms,
    directory: Path,
    *,
    parent: ParentCalculator | None = None,
    optimizer: str = "BFGS",
    fmax: float = 0.02,
    limits: Limits | None = None,
    max_surrogate_steps: int = 300,
    observers: tuple[Observer, ...] = (),
) -> Relaxation:
    """A warm start on the Morse prior in `directory`."""
    surrogate = AseSurrogateSpec(MORSE, MORSE_ARGUMENTS).build()
    with Ledger(directory, IDENTITY) as ledger, parent or emt() as calculator:
        return relax_warm_start(
            atoms,
            surrogate=surrogate,
            parent=calculator,
            ledger=ledger,
            fmax=fmax,
            limits=limits or Limits(),
            max_surrogate_steps=max_surrogate_steps,
            optimizer=optimizer,
            observers=observers,
        )


METHODS: dict[str, Callable[..., Relaxation]] = {
    "online": online,
    "direct": direct,
    "warm_start": warm_start,
}
