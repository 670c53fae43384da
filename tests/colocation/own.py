"""Parents in a process of their own, as tests place them in the present folder."""

from __future__ import annotations

from pathlib import Path

from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.remote import RemoteParent
from finetuna_flows.colocation.specs import place
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import ParentCalculator, Spec
from tests.fakes import ase_engines

OWN = Placement(process="own")
ENGINES = ase_engines.__file__


def own(spec: Spec[ParentCalculator], placement: Placement = OWN) -> RemoteParent:
    placed = place(spec, placement)
    assert isinstance(placed, RemoteParent)
    return placed


def engine(name: str, **arguments: object) -> AseParentSpec:
    return AseParentSpec(f"{ENGINES}:{name}", {"file": str(Path("asked").absolute()), **arguments})


def asked() -> int:
    return len(Path("asked").read_text().split())
