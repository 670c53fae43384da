"""The parent alone finishes what the surrogate has begun."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetuna_flows.geometry import fmax, free_components, moved
from finetuna_flows.history import History
from finetuna_flows.reasons import QueryReason, StopReason
from finetuna_flows.records import Decision, Label, Step
from finetuna_flows.relaxation.checkpoint import Ledger
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.on_parent import walk_on_parent
from finetuna_flows.relaxation.optimizers import WITH_A_HESSIAN
from finetuna_flows.relaxation.run import Run
from finetuna_flows.relaxation.tail import Tail
from finetuna_flows.surrogates.specs import AseSurrogateSpec
from tests.relaxation.parts import IDENTITY, emt, online
from tests.systems import EMT, oxygen_on_copper


def test_its_hessian_is_the_surrogates() -> None:
    atoms, surrogate = oxygen_on_copper(), AseSurrogateSpec(EMT).build()
    hessian = Tail(softest=1e-3).hessian(surrogate, atoms)
    free = free_components(atoms).ravel()
    raw = hessian[np.ix_(free, free)]
    assert np.linalg.eigvalsh(raw).min() >= 1e-3 - 1e-9
    way = np.linalg.eigh(raw)[1][:, -1]  # the stiffest, which no floor has touched
    step = np.zeros(free.size)
    step[free] = 0.02 * way
    energies = [
        surrogate.predict(moved(atoms, atoms.positions + sign * step.reshape(-1, 3))).energy
        for sign in (-1, 0, 1)
    ]
    curvature = (energies[0] - 2 * energies[1] + energies[2]) / 0.02**2
    assert way @ raw @ way == pytest.approx(curvature, rel=0.01)


def test_curvatures_have_a_floor() -> None:
    atoms = oxygen_on_copper()
    hessian = Tail(softest=3.0).hessian(AseSurrogateSpec(EMT).build(), atoms)
    assert hessian == pytest.approx(hessian.T)
    assert np.linalg.eigvalsh(hessian).min() == pytest.approx(3.0)


@pytest.mark.parametrize("optimizer", WITH_A_HESSIAN)
def test_every_step_of_it_is_the_parents(optimizer: str, tmp_path: Path) -> None:
    tail = Tail(below=0.2, optimizer=optimizer)
    done = online(oxygen_on_copper(), tmp_path, tail=tail)
    assert done.stop_reason is StopReason.CONVERGED
    assert done.fmax is not None
    assert done.fmax <= 0.02
    free = free_components(done.start)
    near = next(
        step.index for step in done.steps if step.label and fmax(step.label.forces, free) <= 0.2
    )
    assert done.steps[near + 1 :]
    for step in done.steps[near + 1 :]:
        assert step.decision.reasons == (QueryReason.TAIL,)
        assert step.label is not None
    assert all(QueryReason.TAIL not in step.decision.reasons for step in done.steps[: near + 1])
    geometries = {step.positions.tobytes() for step in done.labelled}
    assert len(geometries) == done.parent_calls


@pytest.mark.parametrize("optimizer", WITH_A_HESSIAN)
def test_a_right_hessian_halves_the_calls(optimizer: str, tmp_path: Path) -> None:
    start = oxygen_on_copper()
    hessian = Tail().hessian(AseSurrogateSpec(EMT).build(), start)
    calls = {}
    for name, given in {"with": hessian, "without": None}.items():
        with Ledger(tmp_path / name, IDENTITY) as ledger, emt() as parent:
            run = Run(start, 0.01, Limits(), ledger)
            reason = walk_on_parent(start, parent, optimizer, run, hessian=given)
        assert reason is StopReason.CONVERGED
        calls[name] = run.history.parent_calls
    assert calls["with"] <= calls["without"] / 2


@pytest.mark.parametrize("optimizer", WITH_A_HESSIAN)
def test_an_interrupted_tail_goes_on_where_it_was(optimizer: str, tmp_path: Path) -> None:
    tail = Tail(below=0.4, optimizer=optimizer)
    whole = online(oxygen_on_copper(), tmp_path / "whole", tail=tail, fmax=0.005)
    in_tail = [QueryReason.TAIL in step.decision.reasons for step in whole.labelled]
    calls = in_tail.index(True) + 2
    assert calls < whole.parent_calls
    limits = Limits(max_parent_calls=calls)
    cut = online(oxygen_on_copper(), tmp_path / "cut", tail=tail, fmax=0.005, limits=limits)
    assert cut.parent_calls == calls
    resumed = online(oxygen_on_copper(), tmp_path / "cut", tail=tail, fmax=0.005)
    assert sum(not step.replayed for step in resumed.labelled) == whole.parent_calls - calls
    assert resumed.final.positions == pytest.approx(whole.final.positions, abs=1e-8)


def test_it_never_begins_at_a_label_worse_than_the_best() -> None:
    atoms = oxygen_on_copper()
    history = History(atoms, returns_to_best=True)
    forces = np.zeros((len(atoms), 3))
    for index, energy in enumerate((0.0, 0.4)):
        positions = atoms.positions + index
        history.append(Step(index, positions, Decision(), label=Label(energy, forces)))
    assert Tail().begins_at(history[0], history)
    assert not Tail().begins_at(history[1], history)


def test_its_hessian_is_booked_as_prediction(tmp_path: Path) -> None:
    done = online(oxygen_on_copper(), tmp_path, tail=Tail(below=0.2))
    booked = [s.prediction_time for s in done.steps if QueryReason.TAIL in s.decision.reasons]
    assert booked[0] > 0
    assert not any(booked[1:])


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_not_positive_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=f"`below` is {wrong} but must be a positive number"):
        Tail(below=wrong)
    with pytest.raises(ValueError, match=f"`softest` is {wrong} but must be a positive number"):
        Tail(softest=wrong)


def test_an_optimizer_without_a_hessian_is_refused() -> None:
    with pytest.raises(ValueError, match="`optimizer` is 'FIRE' but must be one of BFGS"):
        Tail(optimizer="FIRE")
