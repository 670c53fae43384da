"""Jobs that run at the same time under FireWorks.

Behind it is a stand-in for MongoDB, of whose concurrency this shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.meeting import meet, meeting
from tests.fakes.mongo import MongoServer
from tests.launchpad import LaunchSite

pytest.importorskip("fireworks", reason="needs the extra `fireworks`")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Some jobs are not connected"),  # jobflow; twins never are
]


@pytest.fixture
def server() -> Iterator[MongoServer]:
    with MongoServer() as running:
        yield running


def test_twins_meet_through_two_workers(tmp_path: Path, server: MongoServer) -> None:
    with LaunchSite(tmp_path, server.port) as site:
        site.add(meeting(tmp_path / "shared"))
        rockets = site.launch({"gpu": ["rapidfire"], "cpu": ["rapidfire"]}, 50)
        assert site.children.alive() == set()
    assert [each.state for each in rockets] == ["COMPLETED"] * 2, rockets
    assert {each.name: each.worker for each in rockets} == {"learner": "gpu", "parent": "cpu"}
    for each in rockets:
        assert each.output["directory"] == str(each.folder)
        assert each.spec["_category"] == each.spec["worker"] == each.worker


def test_twins_meet_through_one_worker_with_two_slots(tmp_path: Path, server: MongoServer) -> None:
    with LaunchSite(tmp_path, server.port) as site:
        site.add(meeting(tmp_path / "shared"))
        rockets = site.launch({"any": ["multi", "2", "--timeout", "60"]}, 50)
        assert site.children.alive() == set()
    assert [each.state for each in rockets] == ["COMPLETED"] * 2, rockets


def test_twins_miss_each_other_where_there_is_one_slot(tmp_path: Path, server: MongoServer) -> None:
    """The second starts when the first has given up; what that one left misleads it."""
    with LaunchSite(tmp_path, server.port) as site:
        site.add(meeting(tmp_path / "shared", 2))
        first, second = site.launch({"any": ["rapidfire"]}, 50)
    assert {first.state, second.state} == {"FIZZLED", "COMPLETED"}
    assert "did not come within 2 s" in f"{first.error}{second.error}"


def test_a_second_try_runs_in_a_new_folder(tmp_path: Path, server: MongoServer) -> None:
    with LaunchSite(tmp_path, server.port) as site:
        site.add(meet("learner", "parent", str(tmp_path), 0.1))
        (before,) = site.launch({"any": ["rapidfire"]}, 30)
        assert before.state == "FIZZLED"
        (tmp_path / "parent").touch()
        site.lpad("rerun_fws", "-i", "1")
        (after,) = site.launch({"any": ["rapidfire"]}, 30)
    assert after.state == "COMPLETED"
    assert after.folder != before.folder
    assert before.folder is not None
    assert (before.folder / "came").exists()
    assert "came" not in after.output["found"]
