"""Relax adsorbates on slabs with a fraction of the DFT calls.

Measured: 11.5 % of VASP CG's calls, where potentials fitted to 18 published systems were the
parents. The paper's own runs took 9.7 %, with VASP as the parent and a network trained on OC20.

The way of a structure through this package:

- a **structure** comes in (`structures`);
- a **surrogate** predicts its energy and forces (`surrogates`);
- a **query** criterion decides whether that is good enough (`queries`);
- a **parent** labels the geometry where it is not (`parents`);
- **fine-tuning** teaches the surrogate what the parent said (`finetuning`);
- **relaxation** repeats this until it may stop (`relaxation`);
- **colocation** lets parent and surrogate live in two processes or two jobs (`colocation`);
- **results** turn the run into a document, store it and compare it (`results`);
- **flows** make all that jobflow jobs (`flows`), and the command line is a skin over them (`cli`).

To follow one relaxation, read ``flows/relax.py``, ``relaxation/online.py``,
``relaxation/learner.py``, ``protocols.py``, ``records.py``; to follow one label to another process,
``colocation/remote.py``, ``driver.py``, ``client.py``, ``service.py``.

Imports point downwards only, and siblings do not see each other::

    cli → flows → (colocation | results | relaxation)
        → (finetuning | queries | surrogates | parents | structures)
        → protocols → (history | encoding) → records → pairs → vasp
        → (processes | geometry | calculators | reasons | checks | journal)
        → settings → errors
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
    from finetuna_flows.flows.colocated import ColocatedRelaxMaker
    from finetuna_flows.flows.compare import CompareMaker
    from finetuna_flows.flows.finetune import FineTuneMaker
    from finetuna_flows.flows.imported import ImportedRelaxMaker
    from finetuna_flows.flows.relax import OnlineRelaxMaker
    from finetuna_flows.flows.vasp_cg import VaspCgMaker
    from finetuna_flows.relaxation.tail import Tail

__all__ = [
    "ColocatedRelaxMaker",
    "CompareMaker",
    "FineTuneMaker",
    "ImportedRelaxMaker",
    "OnlineRelaxMaker",
    "ParentRelaxMaker",
    "Tail",
    "VaspCgMaker",
    "WarmStartMaker",
]

_HOMES = {
    "ColocatedRelaxMaker": "finetuna_flows.flows.colocated",
    "CompareMaker": "finetuna_flows.flows.compare",
    "FineTuneMaker": "finetuna_flows.flows.finetune",
    "ImportedRelaxMaker": "finetuna_flows.flows.imported",
    "OnlineRelaxMaker": "finetuna_flows.flows.relax",
    "ParentRelaxMaker": "finetuna_flows.flows.baselines",
    "Tail": "finetuna_flows.relaxation.tail",
    "VaspCgMaker": "finetuna_flows.flows.vasp_cg",
    "WarmStartMaker": "finetuna_flows.flows.baselines",
}


def __dir__() -> list[str]:
    """Names for completion."""
    return [*globals(), *__all__]


def __getattr__(name: str) -> object:
    """Import a name when it is asked for, so that importing the package costs nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
