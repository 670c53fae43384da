"""Which process, cores, threads and GPUs parent and learner have."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from monty.json import MontyDecoder, MontyEncoder, MSONable

from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.placement import Placement, Seat
from finetuna_flows.colocation.remote import RemoteParent
from finetuna_flows.colocation.rendezvous import FileRendezvous
from finetuna_flows.colocation.specs import IpiParentSpec, TwinParentSpec, place
from finetuna_flows.colocation.twins import Meeting
from finetuna_flows.errors import ParentError
from finetuna_flows.parents.ase_engine import AseParent
from finetuna_flows.parents.specs import AseParentSpec, VaspParentSpec
from finetuna_flows.protocols import ParentCalculator
from tests.fakes import ase_engines
from tests.systems import oxygen_on_copper
from tests.vasp import stand_in

ALLOWED = sorted(os.sched_getaffinity(0))
two_cores = pytest.mark.skipif(len(ALLOWED) < 2, reason="there is one core")
BEYOND = f"{ALLOWED[0]},{ALLOWED[-1] + 64}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path) -> Iterator[None]:
    with chdir(tmp_path):
        yield


@dataclass(frozen=True)
class Unsendable:
    """A spec that knows nothing of JSON."""

    def build(self) -> ParentCalculator:
        return AseParentSpec().build()


def told(placement: Placement) -> dict[str, Any]:
    """What a parent's process finds that is started in the learner's seat, as a job does it."""
    files = {"file": str(Path("asked").absolute()), "told": str(Path("told").absolute())}
    spec = AseParentSpec(f"{ase_engines.__file__}:Telling", files)
    with placement.learner.taken(), place(spec, placement) as parent:
        parent.label(oxygen_on_copper())
    found: dict[str, Any] = json.loads(Path("told").read_text())
    return found


@two_cores
def test_cores_threads_and_gpus_arrive_in_the_parents_process() -> None:
    learner = Seat(cores=str(ALLOWED[0]), threads=7, gpus="5")
    parent = Seat(cores=str(ALLOWED[1]), threads=3, gpus="")
    found = told(Placement(learner=learner, parent=parent))
    assert found.pop("pid") != os.getpid()
    assert found == {
        "cores": [ALLOWED[1]],
        "OMP_NUM_THREADS": "3",
        "FINETUNA_FLOWS_THREADS": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }


@two_cores
def test_what_the_learner_is_given_is_not_the_parents() -> None:
    learner = Seat(cores=str(ALLOWED[0]), threads=7, gpus="5")
    found = told(Placement(process="own", learner=learner))
    assert found["cores"] == ALLOWED[1:]
    assert found["OMP_NUM_THREADS"] != "7"
    assert found["CUDA_VISIBLE_DEVICES"] == os.environ.get("CUDA_VISIBLE_DEVICES")


def test_a_parents_cores_beyond_the_jobs_are_refused() -> None:
    with pytest.raises(ParentError, match=f"`cores` is {BEYOND} but"):
        told(Placement(parent=Seat(cores=BEYOND)))


def test_a_learners_cores_beyond_the_jobs_are_refused() -> None:
    with (
        pytest.raises(ValueError, match=f"`cores` is {BEYOND} but this job may use"),
        Seat(cores=BEYOND).taken(),
    ):
        pass


def test_cores_that_both_are_given_are_refused() -> None:
    with pytest.raises(ValueError, match="cores 1,2 are given to both learner and parent"):
        Placement(learner=Seat(cores="0-2"), parent=Seat(cores="1-4"))


def test_a_seat_is_left_as_it_was_found() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "5")
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        before = dict(os.environ)
        seat = Seat(cores=str(ALLOWED[0]), threads=2, gpus="0", device="cpu")
        with suppress(RuntimeError), seat.taken():
            assert os.sched_getaffinity(0) == {ALLOWED[0]}
            assert os.environ["OMP_NUM_THREADS"] == "2"
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
            assert os.environ["FINETUNA_FLOWS_DEVICE"] == "cpu"
            raise RuntimeError
        assert dict(os.environ) == before
        assert sorted(os.sched_getaffinity(0)) == ALLOWED


def test_an_empty_seat_changes_nothing() -> None:
    before = dict(os.environ)
    with Seat().taken():
        assert dict(os.environ) == before
    assert Seat().pinned(["x", "y"]) == ["x", "y"]


def test_cores_are_numbers_and_ranges() -> None:
    assert Seat(cores="0-3, 8").core_set == {0, 1, 2, 3, 8}


@pytest.mark.parametrize("cores", ["", "a", "1-", "-1", "1-b", "0;1", "1.5", "3-1"])
def test_other_words_for_cores_are_refused(cores: str) -> None:
    with pytest.raises(ValueError, match=f"`cores` is '{cores}' but must be like 0-3,8"):
        Seat(cores=cores)


def test_no_threads_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="`threads` is 0 but must be at least 1"):
        Seat(threads=0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"process": "other"}, "`process` is 'other' but must be own, same, or None"),
        ({"pause": "never"}, "`pause` is 'never' but must be auto, yes or no"),
        ({"process": "same", "launcher": "mpirun"}, "`process` is 'same', so there is no process"),
        ({"process": "same", "parent": Seat(threads=2)}, "`process` is 'same', so there is no pro"),
    ],
)
def test_a_placement_that_contradicts_itself_is_refused(fields: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Placement(**fields)


@pytest.mark.parametrize("spec", [IpiParentSpec("x {name}", "builtins:dict"), VaspParentSpec()])
def test_a_launcher_for_a_parent_that_starts_programs_is_refused(spec: Any) -> None:
    with pytest.raises(ValueError, match=r"`launcher` is 'mpirun -n 2' but .* starts its engine"):
        place(spec, Placement(launcher="mpirun -n 2"))


def test_a_spec_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be sent to another process; make it MSONable"):
        place(Unsendable(), Placement(process="own"))


@pytest.mark.parametrize(
    ("setting", "placement", "is_own"),
    [
        ("own", Placement(), True),
        ("same", Placement(), False),
        ("own", Placement(process="same"), False),
        ("same", Placement(process="own"), True),
        ("same", Placement(launcher="mpirun"), True),
        ("same", Placement(parent=Seat(threads=2)), True),
        ("own", Placement(learner=Seat(threads=2)), True),
    ],
)
def test_what_a_placement_leaves_open_the_settings_say(
    setting: str, placement: Placement, is_own: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINETUNA_FLOWS_PARENT_PROCESS", setting)
        parent = place(AseParentSpec(), placement)
    assert isinstance(parent, RemoteParent if is_own else AseParent)


def test_parents_that_start_programs_share_the_process_unless_it_is_said() -> None:
    with pytest.MonkeyPatch.context() as patch, stand_in():
        patch.setenv("FINETUNA_FLOWS_PARENT_PROCESS", "own")
        assert not isinstance(place(VaspParentSpec(), Placement()), RemoteParent)
        assert isinstance(place(VaspParentSpec(), Placement(process="own")), RemoteParent)


@pytest.mark.parametrize(
    "spec",
    [
        Seat("0-3", 4, "0,1", "cuda:1"),
        Placement(None, "mpirun -n 1", "ib0", "no", Seat("0"), Seat("1", 2)),
        Patience(meet=float("inf"), grace=0.0),
        FileRendezvous("/shared"),
        Meeting("key", FileRendezvous("/shared"), Patience(idle=5.0)),
        TwinParentSpec(AseParentSpec(arguments={"asap_cutoff": True}), Meeting(), "ib0"),
        IpiParentSpec("x {name}", "ase.calculators.emt:EMT", {"a": [1, 2]}, "yes", Patience(5.0)),
    ],
    ids=lambda spec: type(spec).__name__,
)
def test_specs_come_back_from_json(spec: MSONable) -> None:
    assert MontyDecoder().decode(MontyEncoder().encode(spec)) == spec


@pytest.mark.parametrize("name", ["meet", "label", "idle", "close"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_patience_that_is_none_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is {value} s but must be positive"):
        Patience(**{name: value})
