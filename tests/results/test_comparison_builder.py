"""Comparisons of a campaign: built once, brought up to date, by one process or several."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from jobflow import JobStore
from maggma.core import Store
from maggma.stores import MemoryStore, MongoStore, MongoURIStore
from monty.json import MontyDecoder, MontyEncoder
from monty.serialization import dumpfn

from finetuna_flows.errors import StoreError
from finetuna_flows.flows.keeping import keep
from finetuna_flows.records import Relaxation
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.comparison_builder import ComparisonBuilder
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.portable import geometry_of
from finetuna_flows.results.store import local_job_store
from finetuna_flows.results.study import beside, build, choose_reference, comparisons
from finetuna_flows.results.systems import group_by_start
from finetuna_flows.structures.fingerprint import SAME_START, start_key
from tests.results.made import asking_seldom, by_bfgs, slab, water


def document(relaxation: Relaxation, name: str, **said: Any) -> RelaxationDoc:
    return build_relaxation_doc(relaxation, name=name, spec={}, **said)


def elsewhere(shift: float = 0.1) -> Atoms:
    """The same atoms as `slab`, in another geometry."""
    atoms = slab()
    atoms.positions[-1, 0] += shift
    atoms.info["system"] = "elsewhere"
    return atoms


@pytest.fixture(scope="module")
def runs() -> dict[str, Relaxation]:
    return {
        "BFGS": by_bfgs(slab()),
        "online": asking_seldom(slab()),
        "BFGS elsewhere": by_bfgs(elsewhere()),
        "water": by_bfgs(water()),
    }


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    if request.param == "local":
        made = local_job_store(tmp_path)
    else:
        made = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    made.connect()
    yield made
    made.close()  # type: ignore[no-untyped-call]  # maggma leaves it untyped


def put(store: JobStore, *docs: RelaxationDoc) -> None:
    for doc in docs:
        keep(doc).run(store=store)


def builder_of(store: JobStore, target: Store, **said: Any) -> ComparisonBuilder:
    return ComparisonBuilder(store.docs_store, target, said.pop("reference", "BFGS"), **said)


def items(builder: ComparisonBuilder) -> list[dict[str, Any]]:
    builder.connect()  # type: ignore[no-untyped-call]  # maggma leaves it untyped
    return list(builder.get_items())


def test_each_geometry_is_a_system(store: JobStore, runs: dict[str, Relaxation]) -> None:
    put(store, *(document(runs[name], name.split()[0]) for name in ("BFGS", "online")))
    put(store, document(runs["BFGS elsewhere"], "BFGS"), document(runs["water"], "online"))
    found = build(builder_of(store, MemoryStore(key="uuid")))
    assert [(doc.system, doc.formula_pretty) for doc in found] == [
        (None, "Cu8O"),
        (None, "H2O"),
        ("elsewhere", "Cu8O"),
    ]
    assert [row.method for row in found[0].rows] == ["BFGS", "online"]
    row = found[0].row("online")
    assert row.parent_calls_ratio == pytest.approx(
        runs["online"].parent_calls / runs["BFGS"].parent_calls
    )
    assert row.strict_success
    assert found[1].row("online").note == "the reference is missing"
    assert len({doc.system_key for doc in found}) == 3


def test_rounding_and_wrapping_make_no_new_system(
    store: JobStore, runs: dict[str, Relaxation]
) -> None:
    again = runs["online"].start.copy()
    again.positions += 2e-5  # digits of an OUTCAR
    again.positions[-1] += again.cell[0] - again.cell[1]
    put(store, document(runs["BFGS"], "BFGS"))
    put(store, document(replace(runs["online"], start=again), "online"))
    (found,) = build(builder_of(store, MemoryStore(key="uuid")))
    assert [row.state for row in found.rows] == ["successful", "successful"]


def test_of_relaxations_that_ended_at_once_the_same_one_stands_for_the_system(
    runs: dict[str, Relaxation],
) -> None:
    again = runs["online"].start.copy()
    again.positions += 2e-4
    ended = datetime(2026, 11, 1, tzinfo=UTC)
    docs = [
        document(runs["BFGS"], "BFGS"),
        document(replace(runs["online"], start=again), "online"),
    ]
    docs = [
        doc.model_copy(update={"completed_at": ended, "uuid": uuid})
        for doc, uuid in zip(docs, ("b", "a"), strict=True)
    ]
    keys = set()
    for order in (docs, docs[::-1]):
        store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
        store.connect()
        put(store, *order)
        (found,) = build(builder_of(store, MemoryStore(key="uuid")))
        keys.add(found.system_key)
    assert keys == {start_key(again)}


def test_only_what_is_new_is_built(store: JobStore, runs: dict[str, Relaxation]) -> None:
    target = beside(store.docs_store)
    put(store, document(runs["BFGS"], "BFGS"), document(runs["BFGS elsewhere"], "BFGS"))
    builder = builder_of(store, target)
    first = {doc.uuid: doc for doc in build(builder)}
    assert items(builder) == []
    put(store, document(runs["online"], "online"))
    (item,) = items(builder)
    assert len(item["relaxations"]) == 2
    second = {doc.uuid: doc for doc in build(builder)}
    assert first.keys() == second.keys()  # a system keeps its uuid
    changed = [uuid for uuid, doc in second.items() if doc != first[uuid]]
    assert changed == [item["uuid"]]
    assert items(builder) == []


def test_an_interrupted_build_goes_on(store: JobStore, runs: dict[str, Relaxation]) -> None:
    target = beside(store.docs_store)
    put(store, document(runs["BFGS"], "BFGS"), document(runs["BFGS elsewhere"], "BFGS"))
    builder = builder_of(store, target)
    done, left = items(builder)
    builder.update_targets([builder.process_item(done)])
    assert [item["uuid"] for item in items(builder)] == [left["uuid"]]


def test_a_changed_relaxation_is_compared_again(
    store: JobStore, runs: dict[str, Relaxation]
) -> None:
    put(store, document(runs["BFGS"], "BFGS"), document(runs["online"], "online"))
    builder = builder_of(store, beside(store.docs_store))
    build(builder)
    entry = store.docs_store.query_one({"output.name": "online"})
    assert entry is not None
    entry["output"]["energy"] += 1.0
    entry["output"]["last_updated"] = "2030-01-01T00:00:00"
    store.docs_store.update(entry)
    (found,) = build(builder)
    assert found.row("online").energy_difference == pytest.approx(1.0, abs=1e-6)
    assert [reason.value for reason in found.row("online").failures] == ["higher"]


def test_what_is_gone_has_no_comparison(store: JobStore, runs: dict[str, Relaxation]) -> None:
    put(store, document(runs["BFGS"], "BFGS"), document(runs["BFGS elsewhere"], "BFGS"))
    put(store, document(runs["water"], "BFGS"))
    builder = builder_of(store, beside(store.docs_store))
    assert len(build(builder)) == 3
    store.docs_store.remove_docs({"output.system": "elsewhere"})
    store.docs_store.remove_docs({"output.formula_pretty": "H2O"})
    (left,) = build(builder)
    assert left.system is None


def test_of_several_runs_of_one_method_the_newest_counts(
    store: JobStore, runs: dict[str, Relaxation]
) -> None:
    put(store, document(runs["BFGS"], "BFGS"))
    old, new = (document(runs[name], "fast") for name in ("BFGS", "online"))
    put(store, new, old.model_copy(update={"completed_at": old.completed_at.replace(year=2020)}))
    (found,) = build(builder_of(store, MemoryStore(key="uuid")))
    row = found.row("fast")
    assert (row.uuid, row.repeats) == (new.uuid, 1)
    assert found.row("BFGS").repeats == 0


def test_a_replay_does_not_take_the_place_of_the_run(
    store: JobStore, runs: dict[str, Relaxation]
) -> None:
    run = document(runs["BFGS"], "BFGS")
    replay = document(runs["BFGS"], "BFGS")
    put(store, run, replay.model_copy(update={"replayed_calls": replay.parent_calls}))
    (found,) = build(builder_of(store, MemoryStore(key="uuid")))
    assert (found.rows[0].uuid, found.rows[0].repeats) == (run.uuid, 1)


def test_builders_share_a_target(store: JobStore, runs: dict[str, Relaxation]) -> None:
    put(store, document(runs["BFGS"], "BFGS", tags=["kept"]), document(runs["online"], "online"))
    target = beside(store.docs_store)
    tagged = {"query": {"output.tags": "kept"}, "scope": "kept"}
    (one,) = build(builder_of(store, target))
    (other,) = build(builder_of(store, target, reference="online"))
    (part,) = build(builder_of(store, target, **tagged))
    assert [len(doc.rows) for doc in (one, other, part)] == [2, 2, 1]
    assert other.row("BFGS").energy_difference is not None
    assert build(builder_of(store, target)) == [one]


def test_what_cannot_be_read_is_told_and_left_out(
    store: JobStore, runs: dict[str, Relaxation], caplog: pytest.LogCaptureFixture
) -> None:
    put(store, document(runs["BFGS"], "BFGS"), document(runs["online"], "online"))
    entry = store.docs_store.query_one({"output.name": "online"})
    assert entry is not None
    entry["output"]["parent_calls"] = "many"
    store.docs_store.update(entry)
    builder = builder_of(store, beside(store.docs_store))
    (found,) = build(builder)
    assert [row.method for row in found.rows] == ["BFGS"]
    assert entry["output"]["uuid"] in caplog.text
    assert "parent_calls" in caplog.text
    assert items(builder) == []  # until it is mended


def test_other_rules_judge_anew(store: JobStore, runs: dict[str, Relaxation]) -> None:
    put(store, document(runs["BFGS"], "BFGS"))
    builder = builder_of(store, beside(store.docs_store))
    (first,) = build(builder)
    entry = builder.target.query_one({"uuid": first.uuid})
    assert entry is not None
    builder.target.update({**entry, "rules": "before", "rows": "of an older version"})
    assert [item["uuid"] for item in items(builder)] == [first.uuid]
    (again,) = build(builder)
    assert again.rows == first.rows
    assert builder.target.count() == 1


@pytest.mark.slow
def test_several_processes_build_as_one_does(tmp_path: Path, runs: dict[str, Relaxation]) -> None:
    store = local_job_store(tmp_path)
    store.connect()
    put(store, document(runs["BFGS"], "BFGS"), document(runs["online"], "online"))
    put(store, document(runs["BFGS elsewhere"], "BFGS"), document(runs["water"], "BFGS"))
    alone = build(builder_of(store, MemoryStore(key="uuid")))
    builder = builder_of(store, beside(store.docs_store))
    file = tmp_path / "builder.json"
    dumpfn(builder, file)
    mrun = Path(sys.executable).with_name("mrun")
    subprocess.run([mrun, "-n", "2", "--no_bars", file], check=True, timeout=120)
    builder.connect()  # type: ignore[no-untyped-call]  # maggma leaves it untyped
    together = builder.built()
    without = {"last_updated"}
    assert [doc.model_dump(exclude=without) for doc in together] == [
        doc.model_dump(exclude=without) for doc in alone
    ]


def test_a_builder_comes_back_from_json(tmp_path: Path) -> None:
    source = local_job_store(tmp_path).docs_store
    builder = ComparisonBuilder(source, beside(source), "BFGS", energy_tolerance=0.01)
    again = MontyDecoder().decode(MontyEncoder().encode(builder))
    assert isinstance(again, ComparisonBuilder)
    assert again.as_dict() == builder.as_dict()
    assert again.source == source


def test_a_part_needs_a_name(tmp_path: Path) -> None:
    source = MemoryStore()
    with pytest.raises(ValueError, match="`scope` is 'all relaxations'"):
        ComparisonBuilder(source, MemoryStore(), "BFGS", query={"output.tags": "kept"})


def test_the_study_of_a_store(store: JobStore, runs: dict[str, Relaxation]) -> None:
    put(store, document(runs["BFGS"], "BFGS", tags=["kept"]), document(runs["online"], "online"))
    (found,) = comparisons(store)
    assert found.reference_method == "BFGS"
    (part,) = comparisons(store, tag="kept")
    assert [row.method for row in part.rows] == ["BFGS"]
    with pytest.raises(StoreError, match=r"no relaxation in .* is named 'CG'; there are BFGS, onl"):
        comparisons(store, "CG")


def test_a_store_without_relaxations_says_so(store: JobStore) -> None:
    with pytest.raises(StoreError, match="no relaxation with the tag 'mine' is in"):
        comparisons(store, tag="mine")


@pytest.mark.filterwarnings("ignore:MongoURIStore is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", ["host", "address"])
def test_comparisons_lie_in_the_database_of_the_relaxations(kind: str) -> None:
    source = (
        MongoStore("db", "outputs", host="host", port=1, key="index")
        if kind == "host"
        else MongoURIStore("mongodb://user:word@host/db", "outputs")
    )
    found = beside(source)
    assert isinstance(found, MongoStore)
    assert (found.database, found.uri, found.host) == (source.database, source.uri, source.host)
    assert (found.collection_name, found.key) == ("finetuna_comparisons", "uuid")


@pytest.mark.parametrize("start", [slab(), water()], ids=["slab", "molecule"])
def test_a_geometry_is_read_from_what_is_stored(start: Atoms) -> None:
    stored = json.loads(document(by_bfgs(start), "BFGS").model_dump_json())["initial_structure"]
    found = geometry_of(stored)
    assert found.numbers.tolist() == start.numbers.tolist()
    assert found.pbc.tolist() == start.pbc.tolist()
    np.testing.assert_allclose(found.cell, start.cell, atol=1e-12)
    np.testing.assert_allclose(found.positions, start.positions, atol=1e-12)


def test_one_reference_in_several_spellings_is_to_be_named() -> None:
    with pytest.raises(ValueError, match="'VASP CG' and 'VASP_CG' could all be the reference"):
        choose_reference(["VASP CG", "VASP_CG", "fast"])


def test_a_reference_is_recognised() -> None:
    assert choose_reference(["BFGS", "K_steps", "VASP_CG"]) == "VASP_CG"
    assert choose_reference(["fast", "vasp-cg"]) == "vasp-cg"
    assert choose_reference(["ASE_BFGS", "fast"]) == "ASE_BFGS"
    with pytest.raises(StoreError, match="none of the methods accurate, fast is known"):
        choose_reference(["accurate", "fast"])


def test_many_geometries_of_one_formula_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    starts = []
    for number in range(40):
        atoms = slab()
        atoms.positions[-1] += rng.uniform(-1, 1, 3)
        for copy in range(2):
            noisy = atoms.copy()
            noisy.positions += rng.normal(scale=SAME_START / 20, size=(len(atoms), 3))
            noisy.positions += rng.integers(-2, 3, (len(atoms), 2)) @ np.asarray(atoms.cell[:2])
            starts.append((f"{number}/{copy}", noisy))
    groups = group_by_start(starts)
    assert groups == [[f"{number}/0", f"{number}/1"] for number in range(40)]
