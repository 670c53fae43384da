"""The Maker that adapts a surrogate to labels of past relaxations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobflow import Flow, Job, JobOrder, JobStore, Response, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import CheckpointError, StructureError
from finetuna_flows.finetuning import dataset
from finetuna_flows.finetuning.recipe import CHECKPOINT, AdaptRecipe
from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.flows.finetune import FineTuneMaker, load_frames
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.geometry import free_components
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results import files
from finetuna_flows.results.adaptation import FineTuneDoc
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.surrogates.library import read_model
from finetuna_flows.surrogates.specs import EnsembleSpec, SavedSpec, ToySpec
from tests.finetuning.copper_surfaces import copper_frames, surfaces
from tests.systems import EMT

RECIPE = AdaptRecipe(learning_rate=5e-3, epochs=2, validation=0.3)
LONGER = replace(RECIPE, epochs=3)
PARENT = AseParentSpec(EMT)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("FINETUNA_FLOWS_MODELS_PATH", str(folder))
    return folder


@pytest.fixture
def store() -> JobStore:
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore(key="blob_uuid")})
    store.connect()
    return store


def maker(**fields: Any) -> FineTuneMaker:
    return FineTuneMaker(
        **{"save_as": "copper", "surrogate": ToySpec(), "recipe": RECIPE, **fields}
    )


def test_what_relaxations_left_becomes_a_surrogate_with_a_name(
    store: JobStore, tmp_path: Path
) -> None:
    """Relax, adapt, relax with what was adapted: all by references between jobs."""
    relax = [
        ParentRelaxMaker(name=f"relax {index}", parent=PARENT, fmax=0.1).make(frame.atoms)
        for index, frame in enumerate(copper_frames(1)[:3])
    ]
    adapt = maker().make([job.output.dir_name for job in relax])
    other = copper_frames(1)[3].atoms
    after = OnlineRelaxMaker(surrogate=SavedSpec("copper"), parent=PARENT).make(other)
    flow = Flow([*relax, adapt, after], order=JobOrder.LINEAR)
    responses = run_locally(
        flow, store=store, root_dir=tmp_path, create_folders=True, raise_immediately=True, log=False
    )
    docs = [responses[job.uuid][1].output for job in relax]
    assert all(isinstance(doc, RelaxationDoc) for doc in docs)
    doc = responses[adapt.uuid][1].output
    assert isinstance(doc, FineTuneDoc)
    assert doc.n_frames == sum(each.parent_calls for each in docs)
    assert [each.n_frames for each in doc.systems] == [each.parent_calls for each in docs]
    assert doc.error_after < doc.error_before
    assert 1 <= doc.best_epoch <= doc.epochs == 2
    assert responses[after.uuid][1].output.converged
    kept = next(iter(store.query({"uuid": adapt.uuid})))["output"]
    assert len(json.dumps(kept, default=str)) < 10_000


def test_frames_go_through_a_job_whole(store: JobStore, tmp_path: Path) -> None:
    frames = copper_frames(2)
    job = maker().make(frames)
    arguments = json.loads(json.dumps(job.function_args, cls=MontyEncoder))
    found = load_frames(MontyDecoder().process_decoded(arguments)[0])
    for one, other in zip(found, frames, strict=True):
        np.testing.assert_allclose(one.atoms.positions, other.atoms.positions, atol=1e-12)
        np.testing.assert_array_equal(one.label.forces, other.label.forces)
        assert one.label.force_energy == other.label.force_energy
        np.testing.assert_array_equal(free_components(one.atoms), free_components(other.atoms))
        np.testing.assert_array_equal(one.atoms.get_tags(), other.atoms.get_tags())


def adapt(made: FineTuneMaker, store: JobStore, where: Path) -> Any:
    ((_, result),) = run_in_folders(made.make(copper_frames(2)), store, where)
    return result.output if isinstance(result, Response) else result


def test_the_folder_holds_what_the_document_says(store: JobStore, tmp_path: Path) -> None:
    doc = adapt(maker(), store, tmp_path)
    provenance = read_model(SavedSpec("copper").folder)["provenance"]
    assert isinstance(provenance, dict)
    again = FineTuneDoc(**provenance, folder=doc.folder)
    assert again == doc
    assert doc.folder.endswith(f":{SavedSpec('copper').folder}")
    assert {"torch", "chgnet", "ase"} <= set(doc.packages)
    assert MontyDecoder().process_decoded(doc.spec) == maker()


def test_epochs_of_an_earlier_try_are_taken_over(store: JobStore, tmp_path: Path) -> None:
    adapt(maker(), store, tmp_path / "short")
    whole = adapt(maker(save_as="whole", recipe=LONGER), store, tmp_path / "whole")
    job = maker(save_as="resumed", recipe=LONGER).make(
        copper_frames(2), prev_dir=f"some-host:{tmp_path / 'short' / 'fine-tune'}"
    )
    ((_, result),) = run_in_folders(job, store, tmp_path / "resumed")
    assert isinstance(result, Response)
    assert result.output.systems == whole.systems
    assert result.output.epochs == 3


def test_a_directory_without_checkpoint_is_refused(store: JobStore, tmp_path: Path) -> None:
    job = maker().make(copper_frames(2), prev_dir=tmp_path)
    ((_, result),) = run_in_folders(job, store, tmp_path)
    assert isinstance(result, CheckpointError)
    assert "holds no adapt.pt" in str(result)


def test_a_name_that_is_taken_is_refused_before_any_work(store: JobStore, tmp_path: Path) -> None:
    first = adapt(maker(), store, tmp_path / "first")
    second = adapt(maker(), store, tmp_path / "second")
    assert isinstance(second, ValueError)
    assert "copper holds a saved surrogate already" in str(second)
    assert not (tmp_path / "second").exists()
    third = adapt(maker(surrogate=SavedSpec("copper"), overwrite=True), store, tmp_path / "third")
    assert third.error_before == pytest.approx(first.error_after)


def test_a_surrogate_that_cannot_be_saved_is_refused_before_any_work(
    store: JobStore, tmp_path: Path
) -> None:
    noisy = EnsembleSpec.of_heads(ToySpec(), 2)
    result = adapt(maker(surrogate=noisy), store, tmp_path / "runs")
    assert isinstance(result, ValueError)
    assert "the base is 'EnsembleSpec' of" in str(result)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_or_holds_something_stays(store: JobStore, tmp_path: Path) -> None:
    (tmp_path / "runs" / "fine-tune").mkdir(parents=True)
    refused = maker(surrogate=EnsembleSpec.of_heads(ToySpec(), 2))
    assert isinstance(adapt(refused, store, tmp_path / "runs"), ValueError)
    assert list((tmp_path / "runs" / "fine-tune").iterdir()) == []
    adapt(maker(), store, tmp_path / "others")
    assert (tmp_path / "others" / "fine-tune" / CHECKPOINT).exists()


def test_a_training_is_set_aside_where_a_fresh_one_is_asked_for(
    store: JobStore, tmp_path: Path
) -> None:
    folder = tmp_path / "fine-tune"
    adapt(maker(), store, tmp_path)
    first = (folder / CHECKPOINT).read_bytes()
    other = maker(save_as="other", recipe=replace(RECIPE, batch=2))
    for number in (1, 2):
        job = other.make(copper_frames(2))
        ((_, result),) = run_in_folders(job, store, tmp_path, fresh=True)
        assert isinstance(result, Response) == (number == 1)  # the name is taken then
        assert (folder / f"{CHECKPOINT}.{number}").exists()
    assert (folder / f"{CHECKPOINT}.1").read_bytes() == first
    assert not (folder / CHECKPOINT).exists()


def test_a_refusal_is_one_line_and_a_fault_is_traced(
    store: JobStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ((_, refusal),) = run_in_folders(maker().make(copper_frames(2)[:2]), store, tmp_path)
    assert isinstance(refusal, ValueError)
    fault = Job(np.linalg.cholesky, function_args=(np.zeros((2, 3)),), name="fault")
    ((_, error),) = run_in_folders(fault, store, tmp_path)
    assert isinstance(error, ValueError)
    traced = [bool(record.exc_info) for record in caplog.records if record.levelname == "ERROR"]
    assert traced == [False, True]


def test_relaxations_of_one_structure_are_refused(store: JobStore, tmp_path: Path) -> None:
    ((_, result),) = run_in_folders(maker().make(copper_frames(2)[:2]), store, tmp_path)
    assert isinstance(result, ValueError)
    assert "got frames of 1 system(s) but at least 2" in str(result)


def test_a_folder_without_labels_is_refused(store: JobStore, tmp_path: Path) -> None:
    ((_, result),) = run_in_folders(maker().make(tmp_path / "nothing"), store, tmp_path)
    assert isinstance(result, StructureError)
    assert "nothing is not a file" in str(result)


def test_a_surrogate_that_is_no_spec_is_refused() -> None:
    with pytest.raises(TypeError, match="`surrogate` is 'chgnet' but must be a spec"):
        maker(surrogate="chgnet")
    with pytest.raises(ValueError, match="`name` is 'two words' but must be letters"):
        maker(save_as="two words")


def test_the_maker_is_its_json() -> None:
    made = maker(recipe=AdaptRecipe(train=("head.*",)))
    assert json.loads(json.dumps(made, cls=MontyEncoder), cls=MontyDecoder) == made


def test_relaxations_leave_what_is_searched_for() -> None:
    assert dataset.LABELS == files.LABELS


def test_the_surfaces_are_several_systems() -> None:
    assert len(dataset.by_system(copper_frames(1))) == len(surfaces())
