"""Learner and parent as twin jobs: what their Makers make, refuse and leave."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jobflow import Flow, Job, JobStore, Maker, Response, run_locally
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.colocation.kept_labels import NAME as KEPT
from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.placement import Placement, Seat
from finetuna_flows.colocation.rendezvous import FileRendezvous
from finetuna_flows.colocation.specs import TwinParentSpec
from finetuna_flows.colocation.twins import Meeting
from finetuna_flows.errors import CheckpointError, ParentError, StoreError
from finetuna_flows.flows.colocated import ColocatedRelaxMaker, ServeMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.flows.powerups import update_user_incar_settings
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.flows.store_rendezvous import StoreRendezvous
from finetuna_flows.flows.twins import jobs_of
from finetuna_flows.flows.vasp_cg import VaspCgMaker
from finetuna_flows.parents.specs import AseParentSpec, VaspParentSpec
from finetuna_flows.results.store import local_job_store
from finetuna_flows.surrogates.specs import AseSurrogateSpec
from tests.systems import EMT, MORSE, MORSE_ARGUMENTS, oxygen_on_copper

PARENT = AseParentSpec(EMT)
PRIOR = AseSurrogateSpec(MORSE, MORSE_ARGUMENTS)
ONLINE = OnlineRelaxMaker(surrogate=PRIOR, parent=PARENT)
PATIENCE = Patience(meet=300.0)
SOON = 60.0
"""Seconds, for two interpreters to start on a busy machine; the twins' own patience is longer."""

Outputs = dict[str, Any]


@pytest.fixture(autouse=True)
def meeting_place(tmp_path: Path) -> Iterator[Path]:
    """The folder of every FileRendezvous that names none, also in other processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINETUNA_FLOWS_RENDEZVOUS_PATH", str(tmp_path / "meet"))
        yield tmp_path / "meet"


def run(flow: Flow | Job, root: Path, store: JobStore | None = None) -> Outputs:
    """Outputs by the names of the jobs; of a job that failed, the exception."""
    results = run_in_folders(flow, store or local_job_store(root / "store"), root)
    return {
        job.name: result.output if isinstance(result, Response) else result
        for job, result in results
    }


def twins(**fields: Any) -> ColocatedRelaxMaker:
    return ColocatedRelaxMaker(**{"relax_maker": ONLINE, "patience": PATIENCE, **fields})


def makers(flow: Flow) -> list[Any]:
    return [job.maker for job in jobs_of(flow)]


def check_agreement(relaxed: Any, served: Any) -> None:
    assert relaxed.converged
    assert served.parent_calls == relaxed.parent_calls == len(relaxed.ledger)
    assert served.level_of_theory == relaxed.level_of_theory
    assert (served.recalled_calls, relaxed.replayed_calls) == (0, 0)
    assert served.twins == relaxed.spec["parent"]["meeting"]["key"]
    assert served.spec["parent"] == relaxed.spec["parent"]["parent"]


@pytest.mark.slow
def test_twins_meet_in_the_store_and_agree(tmp_path: Path, meeting_place: Path) -> None:
    store = local_job_store(tmp_path / "store")
    flow = twins(rendezvous=StoreRendezvous()).make(oxygen_on_copper())
    outputs = run(flow, tmp_path, store)
    relaxed, served = outputs["online relax"], outputs["online relax parent"]
    check_agreement(relaxed, served)
    assert not meeting_place.exists()
    assert store.count() == 2  # the notes are gone
    kept = store.query_one({"output.twins": served.twins}) or {}
    assert kept["output"]["parent_calls"] == relaxed.parent_calls


@pytest.mark.slow
def test_twins_that_run_again_ask_nothing(tmp_path: Path, meeting_place: Path) -> None:
    """In the same folders, as another flow: it has a key of its own."""
    first, second = (run(twins().make(oxygen_on_copper()), tmp_path) for _ in range(2))
    relaxed, served = first["online relax"], first["online relax parent"]
    check_agreement(relaxed, served)
    again, served_again = second["online relax"], second["online relax parent"]
    assert again.replayed_calls == again.parent_calls == relaxed.parent_calls
    assert (again.energy, served_again.parent_calls) == (relaxed.energy, 0)
    assert served_again.twins != served.twins
    assert list(meeting_place.iterdir()) == []


def ask(meeting: Meeting) -> float:
    """Energy of one label, asked as a learner does."""
    atoms = oxygen_on_copper()
    with TwinParentSpec(PARENT, meeting).build() as parent:
        return parent.label(atoms).energy


def test_a_server_recalls_the_labels_of_an_earlier_folder(tmp_path: Path) -> None:
    counts, energies = [], []
    for name, prev_dir in (("first", None), ("second", tmp_path / "first" / "serve_parent")):
        meeting = Meeting(patience=PATIENCE)
        job = ServeMaker(parent=PARENT, meeting=meeting).make(prev_dir)
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(ask, meeting)
            doc = run(job, tmp_path / name)["serve parent"]
            energies.append(asked.result(SOON))
        counts.append((doc.parent_calls, doc.recalled_calls, doc.label_time > 0))
    assert counts == [(1, 0, True), (1, 1, False)]
    assert energies[0] == energies[1]


def test_a_server_refuses_an_earlier_folder_without_labels(tmp_path: Path) -> None:
    refusal = run(ServeMaker(parent=PARENT).make(tmp_path), tmp_path)["serve parent"]
    assert isinstance(refusal, CheckpointError)
    assert f"holds no {KEPT}" in str(refusal)


@pytest.mark.slow
def test_a_parent_that_cannot_start_ends_both(tmp_path: Path) -> None:
    wrong = AseParentSpec("ase.calculators.eam:EAM", {"potential": "missing.alloy"})
    maker = OnlineRelaxMaker(surrogate=PRIOR, parent=wrong)
    began = time.monotonic()
    ended = run(twins(relax_maker=maker).make(oxygen_on_copper()), tmp_path)
    assert time.monotonic() - began < SOON
    learner, parent = ended["online relax"], ended["online relax parent"]
    assert isinstance(learner, ParentError)
    assert isinstance(parent, ParentError)
    assert "missing.alloy" in str(parent)
    assert str(parent) in str(learner)


def test_run_locally_is_refused(tmp_path: Path) -> None:
    flow = twins().make(oxygen_on_copper())
    with (
        pytest.warns(UserWarning, match="Some jobs are not connected"),
        pytest.raises(
            ValueError, match=r"^online relax has a twin .* run_locally .*run_in_folders"
        ),
    ):
        run_locally(
            flow, store=local_job_store(tmp_path), root_dir=tmp_path, raise_immediately=True
        )


def test_a_server_alone_is_refused_by_run_locally(tmp_path: Path) -> None:
    job = ServeMaker(parent=PARENT).make()
    with pytest.raises(ValueError, match="serve parent has a twin that must run at the same time"):
        run_locally(job, store=local_job_store(tmp_path), root_dir=tmp_path, raise_immediately=True)


def test_the_store_is_refused_where_a_job_does_not_reach_it() -> None:
    with pytest.raises(StoreError, match=r"cannot reach its store while it runs.*FileRendezvous"):
        StoreRendezvous().get("any")


def test_twins_share_what_both_need_and_nothing_else() -> None:
    placement = Placement(
        launcher="mpirun -n 4", interface="lo", learner=Seat(gpus="0"), parent=Seat(threads=2)
    )
    relax = OnlineRelaxMaker(
        name="slab", surrogate=PRIOR, parent=PARENT, placement=placement, tags=("mine",)
    )
    maker = twins(
        relax_maker=relax, learner_config={"worker": "gpu"}, parent_config={"worker": "cpu"}
    )
    flow = maker.make(oxygen_on_copper())
    learner, server = makers(flow)
    assert learner.parent.meeting == server.meeting
    assert (
        (learner.parent.parent, learner.parent.interface)
        == (server.parent, "lo")
        == (
            PARENT,
            "lo",
        )
    )
    assert learner.placement == Placement(learner=Seat(gpus="0"))
    assert (server.placement.launcher, server.placement.parent) == ("mpirun -n 4", Seat(threads=2))
    assert server.placement.learner == Seat()
    assert (server.name, server.tags) == ("slab parent", ("mine",))
    configs = [job.config for job in jobs_of(flow)]
    assert [each.manager_config for each in configs] == [{"worker": "gpu"}, {"worker": "cpu"}]
    assert not any(each.expose_store for each in configs)
    other, _ = makers(maker.make(oxygen_on_copper()))
    assert other.parent.meeting.key != learner.parent.meeting.key


@pytest.mark.parametrize("rendezvous", [FileRendezvous("/shared"), StoreRendezvous()])
def test_a_flow_is_its_json(rendezvous: FileRendezvous | StoreRendezvous) -> None:
    maker = twins(rendezvous=rendezvous, learner_config={"worker": "gpu"})
    flow = maker.make(oxygen_on_copper(), prev_dir="/one", parent_prev_dir="/other")
    read = json.loads(json.dumps(flow, cls=MontyEncoder), cls=MontyDecoder)
    assert json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder) == maker
    assert makers(read) == makers(flow)
    assert read.job_uuids == flow.job_uuids
    for job, before in zip(jobs_of(read), jobs_of(flow), strict=True):
        assert job.config.as_dict() == before.config.as_dict()
        assert job.function_kwargs == before.function_kwargs
        assert job.config.expose_store is isinstance(rendezvous, StoreRendezvous)
    assert read.output.uuid == flow.jobs[0].uuid


@pytest.mark.filterwarnings("ignore:Overriding POTCARs")
def test_powerups_reach_both_twins() -> None:
    flow = twins(relax_maker=OnlineRelaxMaker(parent=VaspParentSpec())).make(oxygen_on_copper())
    update_user_incar_settings(flow, {"ENCUT": 500})
    learner, server = makers(flow)
    assert learner.parent.parent == server.parent
    assert server.parent.input_set_generator.user_incar_settings == {"ENCUT": 500}


@pytest.mark.parametrize(
    "maker", [VaspCgMaker(), OnlineRelaxMaker(parent=TwinParentSpec()), ServeMaker]
)
def test_what_has_no_parent_to_serve_is_refused(maker: Maker) -> None:
    with pytest.raises(TypeError, match=r"`relax_maker` is .* must be a Maker with a parent"):
        ColocatedRelaxMaker(relax_maker=maker)  # type: ignore[arg-type]  # refused


def test_names_and_specs_are_checked() -> None:
    with pytest.raises(TypeError, match=r"`name` is .* must be a string"):
        ColocatedRelaxMaker(ONLINE)  # type: ignore[arg-type]  # refused
    with pytest.raises(TypeError, match="`parent` is 'EMT' but must be a spec"):
        ServeMaker(parent="EMT")  # type: ignore[arg-type]  # refused
    with pytest.raises(TypeError, match="`parent` is a TwinParentSpec, which another job serves"):
        ServeMaker(parent=TwinParentSpec())
