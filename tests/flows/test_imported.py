"""Calculations that exist already, as baselines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emmet.core.tasks import TaskDoc
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder, jsanitize

from finetuna_flows.errors import ParentError, StructureError
from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.flows.compare import CompareMaker
from finetuna_flows.flows.imported import (
    ImportedRelaxMaker,
    imported_documents,
    read_existing,
    relaxations_in_store,
)
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.reasons import Integrity
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.recorded.recording import Reading
from finetuna_flows.relaxation.vasp.read import read_vasp_relaxation
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from tests.relaxation.recorded_files import frame, relaxed_by_ase, write_frames
from tests.relaxation.vasp_runs import relax
from tests.systems import EMT, oxygen_on_copper
from tests.vasp import CAPTURES, captured

quiet = pytest.mark.filterwarnings("ignore::UserWarning")  # emmet's reading of files
GOLD = CAPTURES / "atomate2/tests/test_data/vasp/Au_adsorption"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return relax(oxygen_on_copper(), tmp_path_factory.mktemp("vasp") / "run")


@pytest.fixture
def store() -> JobStore:
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    store.connect()
    return store


def task_of(folder: Path) -> dict[str, Any]:
    task: dict[str, Any] = jsanitize(TaskDoc.from_directory(folder), strict=True, enum_values=True)
    return task


def put(store: JobStore, name: str, task: dict[str, Any], *blobs: str) -> None:
    store.update(
        {"uuid": name, "index": 1, "output": task}, key=["uuid", "index"], save={"data": [*blobs]}
    )


def test_a_maker_is_its_json_with_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = ImportedRelaxMaker(
        path="run", fmax=0.05, tags=("paid",), by=("sid", "method"), only=("a", "CG"), level="EMT"
    )
    assert made.path == str(tmp_path / "run")
    assert json.loads(json.dumps(made, cls=MontyEncoder), cls=MontyDecoder) == made


def test_it_stands_beside_other_methods_in_a_comparison(
    finished: Path, store: JobStore, tmp_path: Path
) -> None:
    makers = (
        ParentRelaxMaker(name="BFGS", parent=AseParentSpec(EMT), fmax=0.05),
        ImportedRelaxMaker(name="vasp", path=str(finished), fmax=0.05),
    )
    flow = CompareMaker(makers=makers).make(oxygen_on_copper())
    responses = run_locally(flow, store=store, root_dir=tmp_path, log=False)
    done = [each[1].output for each in responses.values()]
    (doc,) = [each for each in done if isinstance(each, RelaxationDoc) and each.name == "vasp"]
    (comparison,) = [each for each in done if isinstance(each, ComparisonDoc)]
    whole = read_vasp_relaxation(finished)
    assert doc.method == "VASP CG"
    assert doc.parent_calls == whole.parent_calls
    assert doc.scf_cycles == whole.scf_cycles
    assert doc.timings.total == doc.timings.parent > 0
    assert doc.dir_name is not None
    assert doc.dir_name.endswith(str(finished))
    rows = {row.method: row for row in comparison.rows}
    assert comparison.reference_method == "vasp"
    assert rows["BFGS"].same_minimum  # the stand-in computes with EMT too
    assert rows["BFGS"].energy_difference is None  # but at another level, as it says


def test_what_started_elsewhere_is_refused(finished: Path, store: JobStore, tmp_path: Path) -> None:
    moved = oxygen_on_copper()
    moved.positions[8, 0] += 0.5
    job = ImportedRelaxMaker(path=str(finished)).make(moved)
    with pytest.raises(StructureError, match="name the calculation that started from it"):
        run_locally(job, store=store, root_dir=tmp_path, raise_immediately=True, log=False)


def test_a_trajectory_stands_beside_other_methods(store: JobStore, tmp_path: Path) -> None:
    """The file is ASE's own BFGS, in another order of atoms and without tags."""
    structure = oxygen_on_copper()
    order = np.random.default_rng(3).permutation(9)
    turned = [
        frame(each[order], each.get_potential_energy(), each.get_forces(False)[order])
        for each in relaxed_by_ase()
    ]
    for each in turned:
        each.set_tags(0)
    path = write_frames(turned, tmp_path / "bfgs.traj")
    makers = (
        ParentRelaxMaker(name="BFGS", parent=AseParentSpec(EMT), fmax=0.03),
        ImportedRelaxMaker(
            name="theirs", path=str(path), method="ASE BFGS", level="EMT", system="o_cu"
        ),
    )
    flow = CompareMaker(makers=makers).make(structure)
    responses = run_locally(flow, store=store, root_dir=tmp_path, log=False)
    done = [each[1].output for each in responses.values()]
    ours, theirs = [each for each in done if isinstance(each, RelaxationDoc)]
    assert (theirs.name, theirs.method, theirs.system) == ("theirs", "ASE BFGS", "o_cu")
    assert theirs.parent_calls == ours.parent_calls
    assert theirs.energy == pytest.approx(ours.energy, abs=1e-6)
    assert theirs.adsorbate == ours.adsorbate == "O"
    assert theirs.integrity is Integrity.INTACT
    (comparison,) = [each for each in done if isinstance(each, ComparisonDoc)]
    assert {row.same_minimum for row in comparison.rows} == {True}


def test_a_document_tells_how_it_is_read_again(tmp_path: Path) -> None:
    frames = relaxed_by_ase()
    many = [each.copy() for each in frames]
    for copy, each, way in zip(many, frames, ["CG", "BFGS"] * len(frames), strict=False):
        copy.info = {"slab": "one", "way": way}
        copy.calc = each.calc
    path = write_frames(many, tmp_path / "many.extxyz")
    reading = Reading(fmax=0.2, level="EMT", by=("slab", "way"))
    found = list(imported_documents(path, reading, tags=["paid"], prepare=lambda atoms: atoms))
    assert [recording.method for recording, _ in found] == ["CG", "BFGS"]
    for recording, doc in found:
        assert isinstance(doc, RelaxationDoc)
        maker = json.loads(json.dumps(doc.spec), cls=MontyDecoder)
        assert isinstance(maker, ImportedRelaxMaker)
        again = read_existing(path, maker.reading)
        assert again.method == doc.method == recording.method
        assert (again.parent_calls, again.energy) == (doc.parent_calls, doc.energy)
    with pytest.raises(ValueError, match="holds several relaxations, as one CG and one BFGS"):
        read_existing(path, reading)
    with pytest.raises(ValueError, match=r"no relaxation of system and method \('one', 'GPMin'\)"):
        read_existing(path, replace(reading, only=("one", "GPMin")))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "`path` is empty but must name"),
        ({"path": "run", "fmax": -0.1}, r"`fmax` is -0\.1"),
    ],
)
def test_a_maker_refuses_what_cannot_be_read(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ImportedRelaxMaker(**fields)


def test_an_import_has_no_earlier_try(finished: Path, store: JobStore, tmp_path: Path) -> None:
    job = ImportedRelaxMaker(path=str(finished)).make(oxygen_on_copper(), prev_dir=tmp_path)
    with pytest.raises(ValueError, match=r"`prev_dir` is .* but an import has no use for it"):
        run_locally(job, store=store, root_dir=tmp_path, raise_immediately=True, log=False)


@quiet
@pytest.mark.parametrize("blobs", [(), ("ionic_steps",), ("calcs_reversed",)])
def test_a_task_document_says_what_its_directory_says(
    blobs: tuple[str, ...], finished: Path, store: JobStore
) -> None:
    put(store, "one", task_of(finished), *blobs)
    ((name, found),) = relaxations_in_store(store, {"uuid": "one"}, like=oxygen_on_copper())
    whole = read_vasp_relaxation(finished, like=oxygen_on_copper())
    assert isinstance(found, Relaxation)
    assert name.endswith("one")
    assert found.level == whole.level.removeprefix("stand-in for ")  # which no task document says
    assert found.scf_cycles == whole.scf_cycles
    assert found.energy == pytest.approx(whole.energy, abs=1e-8)
    assert found.fmax == pytest.approx(whole.fmax, abs=1e-8)
    assert found.final.positions == pytest.approx(whole.final.positions, abs=1e-7)
    assert found.converged


@quiet
def test_documents_that_are_no_relaxations_are_told_and_the_rest_is_kept(
    finished: Path, store: JobStore
) -> None:
    whole = task_of(finished)
    empty = json.loads(json.dumps(whole))
    empty["calcs_reversed"][0]["output"]["ionic_steps"] = None
    moving = json.loads(json.dumps(whole))
    moving["calcs_reversed"][0]["input"]["parameters"]["IBRION"] = 0
    short = json.loads(json.dumps(whole))
    short["calcs_reversed"][0]["output"]["ionic_steps"][0]["electronic_steps"] = None
    tasks = {"empty": empty, "moving": moving, "other": {"energy": 1.0}, "short": short}
    for name, task in {**tasks, "whole": whole}.items():
        put(store, name, task)
    found = {name.split()[-1]: each for name, each in relaxations_in_store(store)}
    assert isinstance(found.pop("whole"), Relaxation)
    assert "molecular dynamics" in str(found["moving"])
    assert "has no ionic steps; import its directory" in str(found["empty"])
    assert "has no electronic iterations" in str(found["short"])
    assert "is no task document" in str(found["other"])
    assert sum(isinstance(each, ParentError) for each in found.values()) == 3


@quiet
def test_a_damaged_step_of_a_task_document_is_told_and_counts(
    finished: Path, store: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    task = json.loads(json.dumps(task_of(finished)))
    steps = task["calcs_reversed"][0]["output"]["ionic_steps"]
    steps[1]["forces"][0][0] = float("nan")
    steps[2]["forces"] = None
    put(store, "spoilt", task)
    ((_, found),) = relaxations_in_store(store)
    assert isinstance(found, Relaxation)
    assert (found.lost_calls, found.parent_calls) == (2, len(steps))
    assert "ionic step 2 cannot be read: the parent returned forces" in caplog.text


@quiet
def test_a_store_of_task_documents_alone(finished: Path, caplog: pytest.LogCaptureFixture) -> None:
    tasks = MemoryStore(key="task_id")
    tasks.connect()
    corrected = [{"corrections": [{"errors": ["zpotrf"]}], "job": {}}]
    tasks.update({**task_of(finished), "task_id": "mp-1", "custodian": corrected})
    ((name, found),) = relaxations_in_store(tasks, {"task_id": "mp-1"}, fmax=0.3)
    assert "mp-1" in name
    assert isinstance(found, Relaxation)
    assert found.fmax_threshold == 0.3
    assert "custodian corrected 1 times" in caplog.text


@quiet
@pytest.mark.shared_data
@captured
@pytest.mark.parametrize(("name", "steps"), [("ads_relax_1_3", 26), ("ads_relax_3_3", 27)])
def test_golds_task_documents(name: str, steps: int, store: JobStore) -> None:
    folder = GOLD / name / "outputs"
    put(store, name, task_of(folder), "ionic_steps")
    ((_, found),) = relaxations_in_store(store)
    whole = read_vasp_relaxation(folder)
    assert isinstance(found, Relaxation)
    assert found.parent_calls == steps
    assert found.scf_cycles == whole.scf_cycles
    assert [step.energy for step in found.steps] == pytest.approx(
        [step.energy for step in whole.steps], abs=1e-8
    )
    assert found.level == whole.level.removeprefix("stand-in for ")  # which no task document says
