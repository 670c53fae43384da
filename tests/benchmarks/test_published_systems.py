"""The benchmark on a folder of published systems: verdicts, failures, going on, and stopping."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.published.judgement import Measured, end_is_known, where_calls_went
from benchmarks.published.methods import Method, parse_methods
from benchmarks.published.runs import Outcome, Shelf, Task
from benchmarks.published.statistics import Mean, choose_by_others
from benchmarks.published.systems import PublishedRun, read_systems
from benchmarks.published_systems import main
from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.relaxation.limits import Limits
from tests.benchmarks.emt_folder import make_folder

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "published_systems.py"
VARIANTS = Path(__file__).resolve().parent / "variants.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_folder(tmp_path_factory.mktemp("published"))
    table = json.loads((folder / "reference_table.json").read_text())
    table["1"]["K_steps"] = {
        "dft_calls": 20, "e_final": 2.8424, "fmax_final": 0.02, "e_minus_cg": 0, "pct_of_cg": 80
    }  # fmt: skip
    (folder / "reference_table.json").write_text(json.dumps(table))
    return folder


def words(data: Path, out: Path, *more: str) -> list[str]:
    return ["--data", str(data), "--out", str(out), "--processes", "1", *more]


@pytest.mark.slow
def test_methods_are_measured_judged_and_not_run_twice(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variants = [
        word for name in ("fails", "dies", "quick")
        for word in ("--variant", f"{name}={VARIANTS}:{name}")
    ]  # fmt: skip
    main(words(data, tmp_path / "it", "--methods", "BFGS,GPMin", *variants))
    document = json.loads((tmp_path / "it.json").read_text())
    outcomes = {each["method"]: each for each in document["outcomes"]}
    bfgs = outcomes["BFGS"]["measured"]
    assert bfgs["success"]
    assert bfgs["validated"]
    assert bfgs["calls"] == pytest.approx(27, abs=3)  # what EMT's own BFGS took
    assert bfgs["percent"] == pytest.approx(100 * bfgs["calls"] / 25)
    assert bfgs["surrogate_steps"] == 0
    assert bfgs["approach"] + bfgs["settling"] + bfgs["polishing"] == bfgs["calls"]
    assert len(bfgs["ledger"]) == bfgs["calls"]
    assert outcomes["GPMin"]["measured"]["calls"] < bfgs["calls"]
    assert outcomes["quick"]["measured"]["success"]
    assert outcomes["fails"]["error"] == "SurrogateError: no weights | no model"
    assert outcomes["dies"]["error"] == "the process ended with exit code 7"
    text = (tmp_path / "it.md").read_text()
    assert "| 1 | BFGS | " in text
    assert "Chosen for each system" not in text  # there is only one
    assert "*K_steps, published*" in text
    paired = {each["method"]: each for each in document["beside_k_steps"]}["GPMin"]
    assert paired["k_steps_percent"]["value"] == pytest.approx(80)
    assert paired["fewer"] == 1

    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "it.runs").iterdir()}
    capsys.readouterr()
    main(words(data, tmp_path / "it", "--methods", "BFGS,GPMin"))
    assert "2 of 2 relaxations are there already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.slow
def test_an_interrupt_ends_all_processes(data: Path, tmp_path: Path) -> None:
    hanging = ("--methods", "", "--variant", f"hangs={VARIANTS}:hangs")
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *words(data, tmp_path / "it", *hanging)],
        env=os.environ | {"PID_FOLDER": str(tmp_path)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (pids := [int(each.name) for each in tmp_path.iterdir() if each.name.isdigit()]):
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() != 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.slow
def test_processes_end_with_one_that_is_killed(data: Path, tmp_path: Path) -> None:
    variants = [f"--variant={name}={VARIANTS}:{name}" for name in ("quick", "hangs")]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *words(data, tmp_path / "it", "--methods=", *variants)],
            env=os.environ | {"PID_FOLDER": str(tmp_path)},
            stdout=file,
            stderr=subprocess.PIPE,
        )
    while not (pids := [int(each.name) for each in tmp_path.iterdir() if each.name.isdigit()]):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    try:
        process.communicate(timeout=20)  # until nobody is left who could write
    except subprocess.TimeoutExpired:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        raise
    assert "1/2        1 quick" in log.read_text()  # told at once, to a file too


def test_systems_that_are_not_there_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"systems are 7 but {data / 'parents'} holds 1"):
        main(words(data, tmp_path / "it", "7"))


def test_a_parent_on_another_scale_is_refused(data: Path, tmp_path: Path) -> None:
    table = json.loads((data / "reference_table.json").read_text())
    table["1"]["VASP_CG"]["e_final"] -= 100
    for name in ("parents", "fitted_parent.py", "initial_structures.extxyz"):
        (tmp_path / name).symlink_to(data / name)
    (tmp_path / "reference_table.json").write_text(json.dumps(table))
    with pytest.raises(ValueError, match=r"must lie within 0\.01 eV of VASP CG's end, -97\.158 eV"):
        read_systems(tmp_path, [], "parents")


def test_an_outcome_belongs_to_its_spec(data: Path, tmp_path: Path) -> None:
    (system,) = read_systems(data, ["random1"], "parents")
    shelf, limits = Shelf(tmp_path), Limits(max_steps=10)
    variant = tmp_path / "variant.py"
    variant.write_text(VARIANTS.read_text())
    method = Method("mine", f"{variant}:quick")
    task = Task(system, method, limits)
    outcome = Outcome("1", "mine", task.key, None, "broke", "c0de", "today")
    shelf.put(outcome)
    assert shelf.get(task) == outcome
    assert shelf.get(Task(system, method, Limits(max_steps=11))) is None
    assert shelf.get(Task(system, Method("BFGS"), limits)) is None
    variant.write_text(VARIANTS.read_text() + "\n")
    assert shelf.get(task) is None


def test_a_method_gets_the_systems_parent(data: Path) -> None:
    (system,) = read_systems(data, [], "parents")
    maker = Method("CG").maker(system, Limits(max_parent_calls=3))
    assert isinstance(maker, ParentRelaxMaker)
    assert (maker.name, maker.optimizer, maker.parent) == ("CG", "CG", system.parent)
    assert maker.limits.max_parent_calls == 3


@pytest.mark.parametrize(
    ("names", "variants", "complaint"),
    [
        ("fast,best", (), "method is 'best' but must be one of .*fast.*BFGS"),
        ("fast", ("mine",), "variant is 'mine' but must be NAME=FILE.py:FUNCTION"),
        ("fast", ("fast=a.py:f",), "methods are fast, fast but"),
        ("", (), "methods are none but"),
    ],
)
def test_methods_refuse(names: str, variants: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_methods(names, variants)


def test_a_variant_must_return_a_maker(data: Path) -> None:
    (system,) = read_systems(data, [], "parents")
    with pytest.raises(TypeError, match="returned 'fast' but must return a Maker"):
        Method("mine", f"{VARIANTS}:nonsense").maker(system, Limits())


@pytest.mark.parametrize(
    ("energies", "expected"),
    [
        ([0.0], (1, 0, 0)),
        ([1.0, 0.5, 0.05, 0.01, 0.0], (3, 1, 1)),
        ([1.0, 0.01, 0.5, 0.01, 0.0], (4, 0, 1)),  # being near once does not count
        ([0.01, 0.0, 0.0], (1, 0, 2)),
        ([-0.5, 0.0], (2, 0, 0)),
    ],
)
def test_where_calls_went(energies: list[float], expected: tuple[int, int, int]) -> None:
    assert where_calls_went(energies) == expected


@pytest.mark.parametrize(
    ("difference", "lowest", "known"),
    [
        (0.0, None, True),
        (-0.02, 0.0, True),
        (-0.03, 0.0, True),
        (-0.04, 0.0, False),
        (-0.04, None, False),
        (-0.50, -0.52, True),
        (-0.50, -0.85, False),
        (-0.90, -0.85, False),
    ],
)
def test_a_lower_end_must_be_known(difference: float, lowest: float | None, known: bool) -> None:
    assert end_is_known(difference, lowest) is known


@pytest.mark.parametrize(
    ("fmax", "difference", "success"),
    [(0.03, 0.02, True), (0.031, 0.0, False), (0.01, 0.021, False), (0.01, -2.8, True)],
)
def test_the_papers_rule(fmax: float, difference: float, success: bool) -> None:
    assert PublishedRun(10, difference, fmax).success is success


def test_a_mean_has_its_standard_error() -> None:
    mean = Mean.of([8.0, 10.0, 12.0, 14.0])
    assert mean is not None
    assert (mean.value, mean.n) == (11.0, 4)
    assert mean.error == pytest.approx((20 / 3 / 4) ** 0.5)
    assert Mean.of([5.0]) == Mean(5.0, None, 1)
    assert Mean.of([]) is None


def outcomes(method: str, percents: dict[str, float | None]) -> list[Outcome]:
    """Of a method that took so many % of VASP CG's calls; it failed where None."""
    return [
        Outcome(
            sid, method, "key", None if percent is None else measured(percent), None, "code", "now"
        )
        for sid, percent in percents.items()
    ]


def measured(percent: float) -> Measured:
    return Measured(
        "converged", 10, percent, -1.0, 0.0, 0.01, True, percent != 3.0, False, 0.0, 0.0, "intact",
        5, 8, 1, 1, {}, {}, [],
    )  # fmt: skip


def test_a_method_is_chosen_by_the_systems_that_are_not_judged() -> None:
    choice = choose_by_others(
        {
            "luck": outcomes("luck", {"1": 1.0, "2": 29.0, "3": 29.0}),
            "plain": outcomes("plain", {"1": 20.0, "2": 21.0, "3": 22.0}),
            "wrong": outcomes("wrong", {"1": 3.0, "2": 3.0, "3": 3.0}),
            "breaks": outcomes("breaks", {"1": 1.0, "2": None, "3": 1.0}),
            "under way": outcomes("under way", {"1": 1.0, "2": 1.0}),
        }
    )
    assert choice is not None
    assert choice.methods == ("luck", "plain", "wrong")
    assert choice.chosen == {"luck": 2, "plain": 1}  # the lucky system alone chose the other
    assert choice.percent == Mean.of([20.0, 29.0, 29.0])
    assert (choice.success, choice.validated) == (3, 3)


def test_one_method_is_no_choice() -> None:
    assert choose_by_others({"one": outcomes("one", {"1": 1.0, "2": 2.0})}) is None
