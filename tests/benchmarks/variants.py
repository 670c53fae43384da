"""Makers for `--variant`: one that works, one that fails, and two that end or hang their process.

The last two spare the process that asks for their spec.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

from monty.json import MSONable

from finetuna_flows.errors import SurrogateError
from finetuna_flows.flows.baselines import ParentRelaxMaker, WarmStartMaker
from finetuna_flows.protocols import Surrogate


@dataclass(frozen=True)
class Broken(MSONable):
    """A surrogate that cannot be built."""

    def build(self) -> Surrogate:
        raise SurrogateError("no weights | no model")


def quick() -> ParentRelaxMaker:
    return ParentRelaxMaker(optimizer="LBFGS")


def fails() -> WarmStartMaker:
    return WarmStartMaker(surrogate=Broken())


def dies() -> ParentRelaxMaker:
    if multiprocessing.parent_process() is not None:
        os._exit(7)
    return ParentRelaxMaker()


def hangs() -> ParentRelaxMaker:
    if multiprocessing.parent_process() is not None:
        place = Path(os.environ["PID_FOLDER"]) / str(os.getpid())
        place.touch()
        time.sleep(600)
    return ParentRelaxMaker()


def nonsense() -> str:
    return "fast"
