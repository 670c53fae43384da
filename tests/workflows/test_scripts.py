"""The scripts that users copy run as they are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.children import wait_until
from tests.fakes.mongo import MongoServer
from tests.launchpad import LAUNCHPAD, LaunchSite
from tests.remote import START, RemoteProject
from tests.vasp import COMMAND

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
FINDINGS = sorted((WORKFLOWS.parent / "findings").glob("*.sh"))
SHELL = [*sorted((WORKFLOWS / "slurm").iterdir()), *FINDINGS]


@pytest.fixture
def meeting_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNA_FLOWS_RENDEZVOUS_PATH", str(tmp_path / "meet"))


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("01_relax_one.py", marks=pytest.mark.slow),
        pytest.param("02_compare_methods.py", marks=pytest.mark.slow),
        pytest.param("04_adapt_a_surrogate.py", marks=pytest.mark.slow),
        pytest.param("05_compare_with_vasp_cg.py", marks=pytest.mark.slow),
        pytest.param("06_parent_in_its_own_process.py", marks=pytest.mark.slow),
        pytest.param("07_twins.py", marks=pytest.mark.slow),
        pytest.param("10_compare_a_campaign.py", marks=pytest.mark.slow),
    ],
)
def test_a_script_runs(script: str, tmp_path: Path) -> None:
    variables = {
        "FINETUNA_FLOWS_STORE_PATH": str(tmp_path / "store"),
        "FINETUNA_FLOWS_RENDEZVOUS_PATH": str(tmp_path / "meet"),
        "VASP_COMMAND": COMMAND,
    }
    done = subprocess.run(
        [sys.executable, WORKFLOWS / script],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "calls" in done.stdout
    assert "None calls" not in done.stdout
    if script == "05_compare_with_vasp_cg.py":
        assert done.stdout.count("same minimum: True") == 2
    if script == "07_twins.py":
        learner, parent = (int(each) for each in re.findall(r"(\d+) (?:calls|labels)", done.stdout))
        assert learner == parent > 1


@pytest.mark.slow
def test_twins_are_submitted_to_jobflow_remote(tmp_path: Path, meeting_place: None) -> None:
    pytest.importorskip("jobflow_remote", reason="needs the extra `remote`")
    with MongoServer() as server, RemoteProject(tmp_path, server.port) as project:
        project.children.run([sys.executable, "-c", START], 30)
        script = str(WORKFLOWS / "08_submit_to_jobflow_remote.py")
        said = project.children.run([sys.executable, script], 90)
        with project.runner():
            wait_until(project.is_idle, 180, "the end of both jobs")
        learner, parent = project.jobs()
        assert project.children.alive() == set()
    assert f"submitted as {learner.number} and {parent.number}" in said
    assert [(each.worker, each.state) for each in (learner, parent)] == [
        ("gpu", "COMPLETED"),
        ("cpu", "COMPLETED"),
    ], (learner, parent)
    assert learner.output["parent_calls"] == parent.output["parent_calls"] > 1


@pytest.mark.slow
def test_twins_are_submitted_to_fireworks(tmp_path: Path) -> None:
    """They meet in the store of the results."""
    pytest.importorskip("fireworks", reason="needs the extra `fireworks`")
    with MongoServer() as server, LaunchSite(tmp_path, server.port) as site:
        script = str(WORKFLOWS / "09_submit_to_fireworks.py")
        said = site.children.run([sys.executable, script, LAUNCHPAD], 90)
        rockets = site.launch({"gpu": ["rapidfire"], "cpu": ["rapidfire"]}, 180)
        assert site.children.alive() == set()
    assert "submitted as " in said
    learner, parent = sorted(rockets, key=lambda each: each.name)
    assert [(each.worker, each.state) for each in (learner, parent)] == [
        ("gpu", "COMPLETED"),
        ("cpu", "COMPLETED"),
    ], (learner, parent)
    assert learner.output["parent_calls"] == parent.output["parent_calls"] > 1


@pytest.mark.parametrize("file", SHELL, ids=lambda file: file.name)
def test_shellcheck_has_no_complaint(file: Path) -> None:
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    shellcheck = shutil.which("shellcheck", path=beside)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([shellcheck, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", FINDINGS, ids=lambda file: file.name)
def test_a_finding_stands_alone(file: Path) -> None:
    """It works in a folder that it removes, on pinned packages, and without ours."""
    text = file.read_text()
    assert "mktemp -d" in text
    assert "trap " in text
    assert re.search(r"pip\"? install\b.*==", text.replace("\\\n", " "))
    assert "finetuna_flows" not in text


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
def test_the_committed_structures_are_what_the_builder_makes(tmp_path: Path) -> None:
    copy = tmp_path / "build.py"
    copy.write_text((WORKFLOWS / "structures" / "build.py").read_text())
    subprocess.run([sys.executable, copy], check=True)
    for name in ("O_on_Al111.extxyz", "O_on_Cu111.extxyz"):
        committed = (WORKFLOWS / "structures" / name).read_text()
        assert (tmp_path / name).read_text() == committed
