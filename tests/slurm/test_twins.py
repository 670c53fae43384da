"""Learner and parent as two batch jobs: they meet, notice each other's end, and go on later."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from jobflow import Flow

from finetuna_flows.flows.colocated import ColocatedRelaxMaker
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.parents.specs import AseParentSpec, VaspParentSpec
from finetuna_flows.protocols import ParentCalculator, Spec
from finetuna_flows.surrogates.specs import AseSurrogateSpec
from tests.fakes.mongo import MongoServer
from tests.launchpad import LAUNCHPAD, LaunchSite
from tests.remote import RemoteJob, RemoteProject
from tests.slurm.cluster import wait_until
from tests.slurm.queue import Queue, queue_below
from tests.systems import MORSE, MORSE_ARGUMENTS, oxygen_on_copper
from tests.vasp import COMMAND

pytest.importorskip("jobflow_remote", reason="needs the extra `remote`")
pytest.importorskip("fireworks", reason="needs the extra `fireworks`")
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.filterwarnings("ignore:Some jobs are not connected"),  # jobflow; twins never are
]

TEMPLATES = Path(__file__).parents[2] / "workflows" / "config"
LEARNER, PARENT = "online relax", "online relax parent"
VASP = f"srun --overlap --exact -u -n 2 {COMMAND}"
SLOW_EMT = """
import hashlib, time
from pathlib import Path
from ase.calculators import emt

def note(file, atoms):
    with Path(__file__).with_name(file).open("a") as lines:
        print(hashlib.sha256(atoms.positions.tobytes()).hexdigest(), file=lines)

class EMT(emt.EMT):
    def calculate(self, atoms, *rest):
        note("begun", atoms)
        time.sleep(float(Path(__file__).with_name("seconds").read_text()))
        super().calculate(atoms, *rest)
        note("ended", atoms)
"""
AT_ONCE = 2
"""Pairs."""
NOTICED = 45.0
"""Seconds until both jobs have failed when one was cancelled; four on an idle machine."""


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    monkeypatch.setenv("FINETUNA_FLOWS_RENDEZVOUS_PATH", str(tmp_path / "meet"))
    monkeypatch.setenv("VASP_COMMAND", VASP)
    with queue_below(tmp_path) as jobs:
        yield jobs


@pytest.fixture
def server() -> Iterator[MongoServer]:
    with MongoServer() as running:
        yield running


def worker(partition: str, **resources: Any) -> dict[str, Any]:
    asked = {"partition": partition, "nodes": 1, "time": "0:10:00", **resources}
    return {"scheduler_type": "slurm", "resources": asked, "pre_run": "trap : TERM"}


def twins(parent: Spec[ParentCalculator]) -> Flow:
    """For jobflow-remote, which reads ``worker``, and FireWorks, which reads ``_category``."""
    return ColocatedRelaxMaker(
        relax_maker=OnlineRelaxMaker(
            surrogate=AseSurrogateSpec(MORSE, MORSE_ARGUMENTS), parent=parent
        ),
        learner_config={"worker": "gpu", "_category": "gpu"},
        parent_config={"worker": "cpu", "_category": "cpu"},
    ).make(oxygen_on_copper())


def check_agreement(learner: Mapping[str, Any], parent: Mapping[str, Any]) -> None:
    assert learner["converged"]
    for name in ("parent_calls", "scf_cycles", "level_of_theory"):
        assert learner[name] == parent[name]
    assert learner["parent_calls"] > 1
    assert learner["scf_cycles"] > learner["parent_calls"]
    assert learner["spec"]["parent"]["meeting"]["key"] == parent["twins"]


def test_two_pairs_run_at_once(tmp_path: Path, queue: Queue, server: MongoServer) -> None:
    workers = {"gpu": worker("gpu", ntasks=1), "cpu": worker("cpu", ntasks=2)}
    with RemoteProject(tmp_path, server.port, workers) as project:
        flows = [twins(VaspParentSpec()) for _ in range(AT_ONCE)]
        jobs = project.run(*flows, patience=240)
        assert project.children.alive() == set()
        assert queue.jobs() == []
        assert {each.state for each in jobs} == {"COMPLETED"}, jobs
        assert [(each.name, each.worker) for each in jobs] == [
            (LEARNER, "gpu"),
            (PARENT, "cpu"),
        ] * AT_ONCE
        learners, parents = jobs[::2], jobs[1::2]
        assert len({each.output["twins"] for each in parents}) == AT_ONCE
        store: Any = project.store()
        store.connect()
        try:
            for learner, parent in zip(learners, parents, strict=True):
                check_agreement(learner.output, parent.output)
                whole = store.get_output(learner.uuid, load=True)
                assert "blob_uuid" in learner.output["trajectory"]
                assert sum(whole["trajectory"]["labelled"]) == learner.output["parent_calls"]
        finally:
            store.close()
    assert list((tmp_path / "meet").iterdir()) == []


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize(
    ("cancelled", "complaint"),
    [
        (LEARNER, r"PeerError: the learner on \S+ (closed the connection|has ended)"),
        (PARENT, r"ParentError: the parent twin of \w+ (closed the connection|has ended)"),
    ],
)
def test_a_cancelled_twin_ends_the_other_and_both_go_on_when_rerun(
    cancelled: str, complaint: str, tmp_path: Path, queue: Queue, server: MongoServer
) -> None:
    (tmp_path / "slow.py").write_text(SLOW_EMT)
    (tmp_path / "seconds").write_text("2")
    flow = twins(AseParentSpec(f"{tmp_path}/slow.py:EMT"))
    workers = {"gpu": worker("gpu", ntasks=1, gres="gpu:1"), "cpu": worker("cpu", ntasks=1)}
    with RemoteProject(tmp_path, server.port, workers) as project:

        def jobs() -> dict[str, RemoteJob]:
            return {each.name: each for each in project.jobs()}

        def runs(name: str) -> bool:
            return jobs()[name].state == "RUNNING"

        project.submit(flow)
        with project.runner():
            wait_until(lambda: len(lines(tmp_path / "begun")) == 3, 60, "no third label")
            folder = jobs()[cancelled].folder
            assert folder is not None
            queue.cancel(folder)
            wait_until(project.is_idle, NOTICED, "the other twin goes on")
            (survivor,) = {LEARNER, PARENT} - {cancelled}
            assert {each.state for each in jobs().values()} == {"FAILED"}
            assert "likely killed" in str(jobs()[cancelled].error)
            assert re.search(complaint, str(jobs()[survivor].error)), jobs()[survivor].error
            assert queue.jobs() == []
            labelled = lines(tmp_path / "ended")
            assert len(labelled) == (3 if cancelled == LEARNER else 2)
            (tmp_path / "seconds").write_text("0")
            for name in (survivor, cancelled):  # the notes of the first try lie there
                project.jf("job", "rerun", "--no-delete", jobs()[name].number)
                wait_until(partial(runs, name), 30, f"{name} does not run")
            wait_until(project.is_idle, 60, "no end")
        learner, parent = jobs()[LEARNER], jobs()[PARENT]
        assert project.children.alive() == set()
    assert (learner.state, parent.state) == ("COMPLETED", "COMPLETED"), (learner, parent)
    asked = lines(tmp_path / "ended")
    assert len(set(asked)) == len(asked) == learner.output["parent_calls"]
    assert learner.output["replayed_calls"] == 2
    assert parent.output["parent_calls"] == learner.output["parent_calls"] - 2
    assert parent.output["recalled_calls"] == (1 if cancelled == LEARNER else 0)
    assert list((tmp_path / "meet").iterdir()) == []


def fill_templates(folder: Path) -> None:
    """Edit the configurations of FireWorks as a user does, for a small cluster."""
    answers = {
        "/YOUR_ENVIRONMENT": sys.prefix,
        "/YOUR_FOLDER/rendezvous": f"{folder}/meet",
        "/YOUR_FOLDER": str(folder),
        "YOUR_ACCOUNT": "chemistry",
        "YOUR_GPU_PARTITION": "gpu",
        "YOUR_CPU_PARTITION": "cpu",
        "cpus_per_task: 8": "cpus_per_task: 1",
        "ntasks: 32": "ntasks: 2",
        "srun --overlap -u -n 32 vasp_std": VASP,
        "DEVICE=cuda": "DEVICE=cpu",
    }
    for kind in ("gpu", "cpu"):
        for name in (f"my_qadapter_{kind}.yaml", f"my_fworker_{kind}.yaml"):
            text = (TEMPLATES / name).read_text()
            for placeholder, answer in answers.items():
                text = text.replace(placeholder, answer)
            (folder / name).write_text(text)


def test_a_pair_runs_through_fireworks(tmp_path: Path, queue: Queue, server: MongoServer) -> None:
    fill_templates(tmp_path)
    with LaunchSite(tmp_path, server.port) as site:
        site.add(twins(VaspParentSpec()))
        for kind in ("gpu", "cpu"):
            files = ["-w", f"my_fworker_{kind}.yaml", "-q", f"my_qadapter_{kind}.yaml"]
            site.children.run(["qlaunch", "-r", "-l", LAUNCHPAD, *files, "rapidfire"], 60)
        wait_until(lambda: queue.jobs() == [], 120, "a batch job goes on")
        learner, parent = sorted(site.rockets(), key=lambda each: each.name)
        assert site.children.alive() == set()
    assert (learner.state, parent.state) == ("COMPLETED", "COMPLETED"), (learner, parent)
    assert (learner.worker, parent.worker) == ("gpu", "cpu")
    check_agreement(learner.output, parent.output)
    assert list((tmp_path / "meet").iterdir()) == []
