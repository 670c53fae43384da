"""The configurations that users copy are read by the programs they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
import yaml
from jobflow.settings import JobflowSettings
from maggma.core import Store
from maggma.stores import GridFSStore, MongoStore
from monty.serialization import loadfn

from finetuna_flows.results.store import (
    LocalStore,
    check_store,
    default_job_store,
    local_job_store,
)

CONFIG = Path(__file__).resolve().parents[2] / "workflows" / "config"
TEMPLATES = sorted(path.name for path in CONFIG.iterdir())
KINDS = ("gpu", "cpu")
PLACEHOLDER = r"YOUR_[A-Z_]+"
TRAP = "trap : TERM"
"""Without it SIGTERM ends the shell, and SLURM the job with it."""
MONGODB = {"host": "localhost", "port": 27017, "username": "somebody", "password": "secret"}
ANSWERS = {
    "YOUR_ACCOUNT": "chemistry",
    "YOUR_AUTH_DATABASE": "admin",
    "YOUR_CPU_PARTITION": "many_cores",
    "YOUR_DATABASE": "results",
    "YOUR_ENVIRONMENT": "env",
    "YOUR_FOLDER": "scratch",
    "YOUR_GPU_PARTITION": "gpus",
    "YOUR_LOGIN": "me",
    "YOUR_LOGIN_NODE": "cluster",
    "YOUR_MONGODB_HOST": MONGODB["host"],
    "YOUR_PASSWORD": MONGODB["password"],
    "YOUR_USER": MONGODB["username"],
}


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The templates as a user leaves them."""
    folder = tmp_path / "config"
    shutil.copytree(CONFIG, folder)
    for path in folder.iterdir():
        text = re.sub(PLACEHOLDER, lambda found: str(ANSWERS[found[0]]), path.read_text())
        path.write_text(text)
    return folder


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_names_no_place_and_says_what_it_is_for(name: str) -> None:
    text = (CONFIG / name).read_text()
    assert text.startswith("# ")
    assert set(re.findall(PLACEHOLDER, text)) <= set(ANSWERS)
    assert re.findall(r"(?<![\w/])/(?!YOUR_)\w+", text) == []
    assert isinstance(yaml.safe_load(text), dict)


def check_script(script: str, kind: str) -> None:
    """A batch script that the shell can read, for the partition of its kind."""
    options = re.findall(r"^#SBATCH --(\S+?)=(.*)$", script, re.MULTILINE)
    asked = dict(options)
    assert (asked["account"], asked["nodes"], asked["time"]) == ("chemistry", "1", "24:00:00")
    assert (asked["partition"], asked.get("gres")) == {
        "gpu": ("gpus", "gpu:1"),
        "cpu": ("many_cores", None),
    }[kind]
    lines = script.splitlines()
    assert ". /env/bin/activate" in lines
    assert TRAP in lines
    assert ("export FINETUNA_FLOWS_DEVICE=cuda" in lines) is (kind == "gpu")
    assert ("VASP_COMMAND" in script) is (kind == "cpu")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def check_mongo(store: Store, kind: type[Store], collection: str) -> None:
    """A store that knows how to get in."""
    assert type(store) is kind
    said = store.as_dict()
    assert {name: said[name] for name in MONGODB} == MONGODB
    assert (said["database"], said["collection_name"]) == ("results", collection)
    assert said["auth_source"] == "admin"


@pytest.mark.parametrize("kind", KINDS)
def test_fireworks_writes_a_batch_script(filled: Path, kind: str) -> None:
    adapters = pytest.importorskip("fireworks.user_objects.queue_adapters.common_adapter")
    adapter = adapters.CommonAdapter.from_file(str(filled / f"my_qadapter_{kind}.yaml"))
    with warnings.catch_warnings(action="error"):  # of keys that its template lacks
        script = adapter.get_script_str("/launch")
    check_script(script, kind)
    lines = script.splitlines()
    launch = f"rlaunch -w /scratch/my_fworker_{kind}.yaml -l /scratch/my_launchpad.yaml singleshot"
    assert lines.index(TRAP) < lines.index("cd /launch") < lines.index(launch)
    assert f"#SBATCH --job-name=finetuna_{kind}" in lines


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_of_fireworks_pulls_its_own_category(filled: Path, kind: str) -> None:
    fireworks = pytest.importorskip("fireworks")
    worker = fireworks.FWorker.from_file(str(filled / f"my_fworker_{kind}.yaml"))
    assert (worker.name, worker.category) == (kind, kind)
    assert worker.query["spec._category"] == kind


def test_fireworks_reads_its_launchpad(filled: Path) -> None:
    fireworks = pytest.importorskip("fireworks")
    launchpad = fireworks.LaunchPad.from_file(str(filled / "my_launchpad.yaml"))
    launchpad.connection.close()
    said = launchpad.to_dict()
    assert {name: said[name] for name in MONGODB} == MONGODB
    assert (said["name"], said["authsource"]) == ("results", "admin")


def test_jobflow_keeps_results_in_mongodb(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(filled / "jobflow.yaml"))
    store = JobflowSettings().JOB_STORE
    check_mongo(store.docs_store, MongoStore, "outputs")
    (data,) = getattr(store, "additional_stores", {}).items()
    assert data[0] == "data"
    check_mongo(data[1], GridFSStore, "outputs_blobs")


def test_jobflow_keeps_results_in_a_file(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same store as without any configuration; its index comes when it is checked."""
    file = filled / "jobflow_local.yaml"
    file.write_text(file.read_text().replace("/scratch", str(tmp_path)))
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(file))
    said, ours = default_job_store(), local_job_store(tmp_path)
    check_store(said)
    data = [vars(store)["additional_stores"]["data"] for store in (said, ours)]
    for mine, other in ((said.docs_store, ours.docs_store), data):
        assert isinstance(mine, LocalStore)
        assert mine == other  # one table in one file
        assert isinstance(other, LocalStore)
        assert (mine.key, mine.document_limit) == (other.key, other.document_limit)
    assert said.docs_store.ensure_index("output.adsorbate")
    said.update({"uuid": "1", "index": 1, "output": 2})
    ours.connect()
    assert (ours.query_one({"uuid": "1"}) or {})["output"] == 2


def test_jobflow_remote_reads_its_project(filled: Path) -> None:
    config = pytest.importorskip("jobflow_remote.config.base")
    project = config.Project.model_validate(loadfn(filled / "jobflow_remote_project.yaml"))
    assert (project.name, set(project.workers)) == ("finetuna", set(KINDS))
    check_mongo(project.get_queue_store(), MongoStore, "jobs")
    store = project.get_jobstore()
    check_mongo(store.docs_store, MongoStore, "outputs")
    check_mongo(store.additional_stores["data"], GridFSStore, "outputs_blobs")


@pytest.mark.parametrize("kind", KINDS)
def test_jobflow_remote_writes_a_batch_script(filled: Path, kind: str) -> None:
    config = pytest.importorskip("jobflow_remote.config.base")
    queue = pytest.importorskip("jobflow_remote.remote.queue")
    project = config.Project.model_validate(loadfn(filled / "jobflow_remote_project.yaml"))
    worker = project.workers[kind]
    assert (worker.host, worker.user, worker.max_jobs) == ("cluster", "me", None)
    manager = queue.QueueManager(worker.get_scheduler_io(), worker.get_host())
    script = manager.get_submission_script("jf run", worker.resources, pre_run=worker.pre_run)
    check_script(script, kind)
    lines = script.splitlines()
    assert lines.index(TRAP) < lines.index("jf run")
