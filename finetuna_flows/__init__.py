"""Relax adsorbates on slabs with a fraction of the DFT calls.

Measured: between a seventh and an eighth of VASP CG's calls (14 %), where potentials fitted to
published systems were the parents. The paper's own runs took 9.7 %, with VASP as the parent and a
network trained on OC20.

The way of a structure through this package:

- a **structure** comes in (`structures`);
- a **surrogate** predicts its energy and forces (`surrogates`);
- a **query** criterion decides whether that is good enough (`queries`);
- a **parent** labels the geometry where it is not (`parents`);
- **fine-tuning** teaches the surrogate what the parent said (`finetuning`);
- **relaxation** repeats this until it may stop (`relaxation`);
- **results** turn the run into a document, store it and compare it (`results`);
- **flows** make all that jobflow jobs (`flows`), and the command line is a skin over them (`cli`).

To follow one relaxation, read ``flows/relax.py``, ``relaxation/online.py``,
``relaxation/learner.py``, ``protocols.py``, ``records.py``.

Imports point downwards only, and siblings do not see each other::

    cli → flows → (results | relaxation)
        → (finetuning | queries | surrogates | parents | structures)
        → protocols → history → records → pairs → (geometry | calculators | reasons)
        → settings → errors
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
    from finetuna_flows.flows.compare import CompareMaker
    from finetuna_flows.flows.finetune import FineTuneMaker
    from finetuna_flows.flows.relax import OnlineRelaxMaker

__all__ = [
    "CompareMaker",
    "FineTuneMaker",
    "OnlineRelaxMaker",
    "ParentRelaxMaker",
    "WarmStartMaker",
]

_HOMES = {
    "CompareMaker": "finetuna_flows.flows.compare",
    "FineTuneMaker": "finetuna_flows.flows.finetune",
    "OnlineRelaxMaker": "finetuna_flows.flows.relax",
    "ParentRelaxMaker": "finetuna_flows.flows.baselines",
    "WarmStartMaker": "finetuna_flows.flows.baselines",
}


def __getattr__(name: str) -> object:
    """Import a Maker when it is asked for, so that importing the package costs nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
