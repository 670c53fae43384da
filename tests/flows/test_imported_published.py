"""Imports of the authors' relaxations, compared: the rows of their table."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from finetuna_flows.flows.imported import imported_documents
from finetuna_flows.relaxation.recorded.recording import Reading
from finetuna_flows.relaxation.recorded.starts import StartingStructures
from finetuna_flows.results.compare import compare
from finetuna_flows.results.documents import RelaxationDoc

DATA = Path(__file__).parents[3] / "shared" / "data" / "finetuna"
STARTS = DATA / "initial_structures.extxyz"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.shared_data,
    pytest.mark.skipif(not STARTS.exists(), reason=f"no published data in {DATA}"),
]


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DATA / "reference_table.json").read_text())
    return content


def documents(path: Path, *, tagged: bool = True) -> dict[str, dict[str, RelaxationDoc]]:
    """By system and method."""
    starts = StartingStructures.read(STARTS) if tagged else None
    found: dict[str, dict[str, RelaxationDoc]] = defaultdict(dict)
    for _, doc in imported_documents(path, Reading(), prepare=lambda a: a, starts=starts):
        assert isinstance(doc, RelaxationDoc)
        assert doc.system is not None
        light = doc.model_copy(update={"trajectory": None, "ledger": None})
        found[doc.system][doc.name] = light
    return found


def check(docs: dict[str, dict[str, RelaxationDoc]], table: dict[str, Any]) -> None:
    for system, methods in docs.items():
        rows = table[system.removeprefix("random")]
        absent = {method: None for method, row in rows.items() if row is None}
        comparison = compare({**methods, **absent}, "VASP_CG")
        assert comparison.system == system
        for method, row in rows.items():
            found = comparison.row(method)
            if row is None:
                assert found.note.startswith("missing")
                continue
            assert found.parent_calls == row["dft_calls"]
            assert found.energy_difference is not None
            assert found.parent_calls_ratio is not None
            assert round(found.energy_difference, 6) == row["e_minus_cg"]
            assert round(100 * found.parent_calls_ratio, 2) == row["pct_of_cg"]


@pytest.mark.slow
def test_twenty_systems_of_one_file(table: dict[str, Any]) -> None:
    docs = documents(DATA / "frames.extxyz.gz")
    assert docs.keys() == {f"random{sid}" for sid in table}
    check(docs, table)
    composition = json.loads((DATA / "composition.json").read_text())
    for system, methods in docs.items():
        said = composition[system.removeprefix("random")]["adsorbate"]
        assert {doc.adsorbate for doc in methods.values()} == {said}


@pytest.mark.parametrize("tagged", [True, False])
def test_three_systems_as_the_authors_laid_them_out(tagged: bool, table: dict[str, Any]) -> None:
    docs = documents(DATA / "authors_layout", tagged=tagged)
    assert docs.keys() == {"random1135151", "random1979576", "random2500909"}
    check(docs, table)


def test_the_ledger_tells_errors_and_times() -> None:
    found = imported_documents(
        DATA / "authors_layout",
        Reading(only=("random1135151", "K_steps")),
        prepare=lambda atoms: atoms,
    )
    ((_, doc),) = found
    assert isinstance(doc, RelaxationDoc)
    assert isinstance(doc.ledger, tuple)
    assert doc.n_steps == 53
    assert len(doc.ledger) == 10
    for entry in doc.ledger:
        assert entry.force_error is not None
        assert entry.tuned_force_error is not None
        assert 0 < entry.tuned_force_error < entry.force_error < 0.5
        assert entry.predicted_energy is not None
        assert entry.predicted_energy - entry.energy > 300  # GemNet's own scale
    times = doc.timings
    assert times.tuning == pytest.approx(2166.063, abs=1e-3)
    assert times.parent == pytest.approx(sum(entry.wall_time for entry in doc.ledger))
    assert 0 < times.overhead < 0.02 * times.parent
