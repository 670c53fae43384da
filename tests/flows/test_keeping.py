"""Imports that are interrupted, or run twice at once, leave one whole document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore

from finetuna_flows.flows.imported import imported_documents
from finetuna_flows.flows.keeping import Kept, fingerprint_of, keep_once
from finetuna_flows.relaxation.recorded.recording import Reading, Recording
from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.find import relaxation_doc
from tests.relaxation.recorded_files import relaxed_by_ase, write_frames


class Meanwhile(MemoryStore):
    """Something else happens, once, before it writes."""

    happens: Callable[[], object] | None = None

    def update(self, docs: Any, key: list[str] | str | None = None) -> None:
        if self.happens is not None:
            happens, self.happens = self.happens, None
            happens()
        super().update(docs, key)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def data() -> Meanwhile:
    return Meanwhile(key="blob_uuid")


@pytest.fixture
def docs() -> Meanwhile:
    return Meanwhile()


@pytest.fixture
def store(docs: Meanwhile, data: Meanwhile) -> JobStore:
    store = JobStore(docs, additional_stores={"data": data})
    store.connect()
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_frames(relaxed_by_ase()[:3], tmp_path / "run.traj")


def read(path: Path) -> tuple[Recording, RelaxationDoc]:
    reading = Reading(level="EMT")
    ((recording, document),) = imported_documents(path, reading, prepare=lambda atoms: atoms)
    assert isinstance(document, RelaxationDoc)
    return recording, document


def put(path: Path, store: JobStore, *, again: bool = False) -> Kept:
    recording, document = read(path)
    return keep_once(document, recording, path, store, again=again)


def check_whole(store: JobStore, data: Meanwhile, path: Path) -> None:
    """One document, with its trajectory and its ledger and none besides."""
    assert store.count() == 1
    assert data.count() == 2
    (output,) = (each["output"] for each in store.query())
    stored, expected = relaxation_doc(store, output["uuid"], load=True), read(path)[1]
    assert stored.trajectory == expected.trajectory
    assert stored.ledger == expected.ledger


def test_an_interrupted_import_is_completed(store: JobStore, data: Meanwhile, path: Path) -> None:
    data.happens = interrupt
    with pytest.raises(KeyboardInterrupt):
        put(path, store)
    assert (store.count(), data.count()) == (1, 0)
    assert put(path, store).word == "completed"
    check_whole(store, data, path)
    assert put(path, store).word == "already there"
    check_whole(store, data, path)


def test_an_interrupted_replacement_is_completed(
    store: JobStore, data: Meanwhile, path: Path
) -> None:
    put(path, store)
    write_frames(relaxed_by_ase()[:5], path)
    data.happens = interrupt
    with pytest.raises(KeyboardInterrupt):
        put(path, store, again=True)
    assert put(path, store).word == "completed"
    check_whole(store, data, path)


@pytest.mark.parametrize("part", ["trajectory", "ledger"])
def test_one_missing_part_is_enough(
    part: str, store: JobStore, data: Meanwhile, path: Path
) -> None:
    put(path, store)
    (output,) = (each["output"] for each in store.query())
    data.remove_docs({"blob_uuid": output[part]["blob_uuid"]})
    assert put(path, store).word == "completed"
    check_whole(store, data, path)


@pytest.mark.parametrize("when", ["docs", "data"])
@pytest.mark.parametrize("again", [False, True])
def test_two_imports_at_once(
    when: str, again: bool, store: JobStore, docs: Meanwhile, data: Meanwhile, path: Path
) -> None:
    """The other one runs from beginning to end before this one writes its document or its parts."""
    if again:
        put(path, store)
    hooked = {"docs": docs, "data": data}[when]
    hooked.happens = lambda: put(path, store, again=again)
    put(path, store, again=again)
    assert hooked.happens is None
    check_whole(store, data, path)


def moved_by(document: RelaxationDoc, way: float) -> RelaxationDoc:
    """The document with every position a little farther along x."""
    trajectory = document.trajectory
    assert isinstance(trajectory, Trajectory)
    positions = (np.array(trajectory.positions) + np.array([way, 0.0, 0.0])).tolist()
    changed = {**trajectory.model_dump(), "positions": positions}
    return document.model_copy(update={"trajectory": Trajectory.model_validate(changed)})


def test_an_import_that_another_machine_rounded_otherwise_is_there_already(
    store: JobStore, data: Meanwhile, path: Path
) -> None:
    put(path, store)
    recording, document = read(path)
    rounded = moved_by(document, 1e-14)
    assert fingerprint_of(rounded) != fingerprint_of(document)
    assert keep_once(rounded, recording, path, store).word == "already there"
    check_whole(store, data, path)
    with pytest.raises(ValueError, match="its file or the options have changed since"):
        keep_once(moved_by(document, 1e-8), recording, path, store)


def test_it_is_found_by_its_whole_uuid(store: JobStore, path: Path) -> None:
    """Also where that of another document begins with it."""
    kept = put(path, store)
    (entry,) = store.query()
    longer = {**entry["output"], "uuid": f"{kept.document.uuid}-2", "name": "another"}
    store.docs_store.update({"uuid": "other", "index": 1, "output": longer}, ["uuid", "index"])
    found = put(path, store)
    assert (found.word, found.document.name) == ("already there", "imported")
    assert found.document.uuid == kept.document.uuid
