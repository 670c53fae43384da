"""Documents go through jobflow into a store and are found again, without what is large."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bson
import pytest
from jobflow.core.job import job
from jobflow.core.store import JobStore
from jobflow.managers.local import run_locally
from maggma.stores import MemoryStore
from monty.json import jsanitize

from finetuna_flows.errors import StoreError
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.compare import compare
from finetuna_flows.results.document_parts import BlobReference, Trajectory
from finetuna_flows.results.documents import DATA_KEYS, ComparisonDoc, RelaxationDoc
from finetuna_flows.results.find import comparison_doc, relaxation_doc, relaxation_summaries
from finetuna_flows.results.mongo import MONGODB_LIMIT
from finetuna_flows.results.sqlite.store import LocalStore
from finetuna_flows.results.store import default_job_store, local_job_store
from tests.results.made import SPEC, asking_seldom, by_bfgs, shaken, slab, water


@job(data=list(DATA_KEYS))
def relax(method: str) -> RelaxationDoc:
    start = water() if method == "water" else slab()
    relaxation = asking_seldom(start) if method == "online" else by_bfgs(start)
    return build_relaxation_doc(relaxation, name=method, spec=SPEC, tags=["made", method])


@job
def side_by_side(docs: list[RelaxationDoc]) -> ComparisonDoc:
    assert all(isinstance(doc.trajectory, Trajectory) for doc in docs)  # jobflow loads it
    return compare({doc.method: doc for doc in docs}, "BFGS")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobStore]:
    """Two slabs, a molecule, and the comparison of the slabs, all made by jobs."""
    folder = tmp_path_factory.mktemp("runs")
    store = local_job_store(folder / "store")
    jobs = [relax(method) for method in ("BFGS", "online", "water")]
    last = side_by_side([jobs[0].output, jobs[1].output])
    for each in (*jobs, last):
        run_locally(
            each,
            store=store,
            root_dir=folder,
            raise_immediately=True,
            log=False,
            allow_external_references=True,
        )
    with local_job_store(folder / "store") as again:
        yield again


def test_lists_are_newest_first(filled: JobStore) -> None:
    found = list(relaxation_summaries(filled))
    assert [line.name for line in found] == ["water", "online", "BFGS"]
    assert found[0].completed_at > found[2].completed_at
    assert [line.name for line in relaxation_summaries(filled, limit=1)] == ["water"]


def test_lists_can_be_narrowed_down(filled: JobStore) -> None:
    def names(**wanted: object) -> list[str]:
        return [line.name for line in relaxation_summaries(filled, **wanted)]  # type: ignore[arg-type]  # of all kinds

    assert names(formula="O2H4") == ["water"]
    assert names(chemsys="O-Cu") == ["online", "BFGS"]
    assert names(name="water") == ["water"]
    assert names(name="water", chemsys="O-Cu") == []
    assert names(method="online") == ["online"]
    assert names(method="online", chemsys="H-O") == []
    assert names(converged=True) == ["water", "online", "BFGS"]
    assert names(converged=False) == []
    assert names(tag="water") == ["water"]
    newest = next(relaxation_summaries(filled)).completed_at
    assert names(since=newest) == ["water"]
    assert names(since=datetime.now(UTC) + timedelta(days=1)) == []


def test_a_list_reads_nothing_large(filled: JobStore) -> None:
    """The same list comes from a store whose blobs are gone."""
    docs_alone = JobStore(filled.docs_store, load=True)
    found = list(relaxation_summaries(docs_alone))
    assert [each.complete for each in found] == [False] * 3
    assert all(each.complete for each in relaxation_summaries(filled))


def test_one_document_is_found_by_the_start_of_its_uuid(filled: JobStore) -> None:
    line = next(relaxation_summaries(filled, method="online"))
    doc = relaxation_doc(filled, line.uuid[:13])
    assert (doc.uuid, doc.name, doc.completed_at) == (line.uuid, "online", line.completed_at)
    assert isinstance(doc.trajectory, BlobReference)
    assert isinstance(doc.ledger, BlobReference)
    by_job = filled.query_one({"output.uuid": line.uuid}, properties=["uuid"])
    assert by_job is not None
    assert relaxation_doc(filled, by_job["uuid"]).uuid == line.uuid


def test_what_is_large_is_loaded_on_demand(filled: JobStore) -> None:
    line = next(relaxation_summaries(filled, method="online"))
    doc = relaxation_doc(filled, line.uuid, load=True)
    made = build_relaxation_doc(asking_seldom(slab()), name="online", spec=SPEC)
    assert isinstance(doc.trajectory, Trajectory)
    assert doc.trajectory == made.trajectory
    assert doc.ledger == made.ledger
    assert doc.spec == made.spec
    assert doc.structure == made.structure


def test_a_comparison_is_found_too(filled: JobStore) -> None:
    entry = filled.query_one({"output.@class": "ComparisonDoc"})
    assert entry is not None
    doc = comparison_doc(filled, entry["output"]["uuid"][:10])
    assert [row.method for row in doc.rows] == ["BFGS", "online"]
    assert doc.row("online").same_minimum


def test_a_document_that_is_not_there_is_refused(filled: JobStore) -> None:
    with pytest.raises(StoreError, match=r"no RelaxationDoc in .* starts with 'nothing'"):
        relaxation_doc(filled, "nothing")
    with pytest.raises(StoreError, match=r"starts with ''; add characters: .+, .+, .+"):
        relaxation_doc(filled, "")


def test_the_same_works_with_maggmas_memory_store() -> None:
    """What MongoDB's own dialect would be asked."""
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    store.connect()
    run_locally(relax("online"), store=store, ensure_success=True, log=False, create_folders=False)
    line = next(relaxation_summaries(store, chemsys="Cu-O", tag="made"))
    assert isinstance(relaxation_doc(store, line.uuid[:8], load=True).trajectory, Trajectory)


def test_a_document_for_mongodb_may_not_have_more_than_16_mb(tmp_path: Path) -> None:
    large = {"uuid": "a", "index": 1, "output": {"text": "x" * MONGODB_LIMIT}}
    with local_job_store(tmp_path) as store:
        with pytest.raises(StoreError, match=r"takes 16777216, as MongoDB does.*`data`"):
            store.update(large)
        assert store.count() == 0
        store.update(
            {**large, "output": {"trajectory": large["output"]}}, save={"data": "trajectory"}
        )
        assert store.count() == 1


def test_a_long_run_of_a_large_structure_stays_far_below(tmp_path: Path) -> None:
    doc = build_relaxation_doc(shaken(300, 300), name="large", spec=SPEC)
    output = jsanitize(doc, strict=True, enum_values=True, allow_bson=True)
    size = {name: len(bson.encode({name: value})) for name, value in output.items()}
    assert sum(size[name] for name in size if name not in DATA_KEYS) < MONGODB_LIMIT / 50
    assert size["trajectory"] > 5_000_000  # 300 atoms, 300 steps, 6 numbers of 8 bytes and more
    with local_job_store(tmp_path) as store:
        store.update({"uuid": "a", "index": 1, "output": output}, save={"data": list(DATA_KEYS)})
        back = relaxation_doc(store, doc.uuid, load=True)
    assert back.trajectory == doc.trajectory


def test_the_default_store_is_the_one_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "nothing.yaml"))
    monkeypatch.setenv("FINETUNA_FLOWS_STORE_PATH", str(tmp_path / "here"))
    store = default_job_store()
    assert store.docs_store == LocalStore(tmp_path / "here" / "results.sqlite")
    assert store.as_dict()["additional_stores"].keys() == {"data"}


def test_jobflows_own_configuration_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "jobflow.yaml"
    config.write_text("JOB_STORE: {docs_store: {type: MemoryStore, collection_name: mine}}")
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(config))
    assert default_job_store().docs_store.name == "mem://mine"
