"""Online against BFGS on a system published with FINETUNA, its fitted potential as the parent."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobflow import JobStore, Response
from maggma.stores import MemoryStore

from finetuna_flows.calculators import load_calculator
from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.flows.compare import CompareMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from finetuna_flows.structures.read import read_structure

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "finetuna"
SYSTEM, INDEX = "441903", 1

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the published DFT data are not here"),
]


def test_online_needs_few_calls_and_ends_where_bfgs_does(tmp_path: Path) -> None:
    target = f"{DATA / 'fitted_parent.py'}:FittedParentCalculator"
    parent = AseParentSpec(target, {"sid_or_path": SYSTEM})
    maker = CompareMaker(
        makers=(OnlineRelaxMaker(name="online", parent=parent), ParentRelaxMaker("BFGS", parent))
    )
    start = read_structure(DATA / "initial_structures.extxyz", INDEX)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    outputs = [
        result.output
        for _, result in run_in_folders(maker.make(start), store, tmp_path)
        if isinstance(result, Response)
    ]
    (comparison,) = [each for each in outputs if isinstance(each, ComparisonDoc)]
    row = comparison.row("online")
    assert row.parent_calls_ratio is not None
    assert row.parent_calls_ratio < 0.4
    assert row.passes_energy_test
    assert row.same_minimum
    for doc in (each for each in outputs if isinstance(each, RelaxationDoc)):
        end = read_structure(doc.structure)
        end.calc = load_calculator(target, {"sid_or_path": SYSTEM})
        end.get_potential_energy()
        assert not end.calc.results["off_domain"]
