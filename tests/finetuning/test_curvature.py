"""The factor of the whole potential: recovered where there is one, held where nothing tells it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixAtoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import FineTuningError
from finetuna_flows.finetuning.curvature import (
    NAME,
    CurvatureCorrection,
    CurvatureTuner,
    posterior_factor,
)
from finetuna_flows.finetuning.specs import (
    CurvatureSpec,
    EnsembleTunerSpec,
    GradientSpec,
    ResidualGPSpec,
    StackSpec,
)
from finetuna_flows.geometry import Array, moved
from finetuna_flows.protocols import CorrectableSurrogate, FineTuner
from finetuna_flows.records import Frame, Label, Prediction
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import AseSurrogateSpec, EnsembleSpec, ToySpec
from tests.contracts.surrogate import random_directions
from tests.contracts.tuner import FineTunerContract, force_rmse
from tests.finetuning.emt_frames import emt_frames
from tests.systems import MORSE, MORSE_ARGUMENTS

SOFTNESS = 0.7
EXACT = CurvatureSpec(scatter=1e-3, noise=1e-3)
SOFT = MORSE_ARGUMENTS | {"epsilon": SOFTNESS * MORSE_ARGUMENTS["epsilon"]}


def soft_prior() -> CompositeSurrogate:
    """Springs between atoms, all by the same factor weaker than those of the parent."""
    return CompositeSurrogate(AseSurrogateSpec(MORSE, SOFT).build())


def stiff_frames(count: int) -> list[Frame]:
    """What the stiffer springs say, from another zero of energy."""
    parent = AseSurrogateSpec(MORSE, MORSE_ARGUMENTS).build()
    said = [(frame.atoms, parent.predict(frame.atoms)) for frame in emt_frames(count)]
    return [Frame(atoms, Label(each.energy - 300, each.forces)) for atoms, each in said]


class TestCurvature(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = soft_prior()
        return CurvatureSpec().build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return stiff_frames(3)

    def test_learning_lowers_the_error_on_its_own_labels(self) -> None:
        tuner, _ = self.tuner_and_surrogate()
        first = tuner.update(self.frames()[:1])
        assert first.force_rmse_after == first.force_rmse_before  # one label shows no change
        for count in (2, 3):
            report = tuner.update(self.frames()[:count])
            assert report.force_rmse_after < report.force_rmse_before


class TestUnderTheResidualProcess(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        surrogate = CompositeSurrogate(AseSurrogateSpec(MORSE, MORSE_ARGUMENTS).build())
        return StackSpec((CurvatureSpec(), ResidualGPSpec())).build(surrogate), surrogate

    def frames(self) -> Sequence[Frame]:
        return emt_frames(3)


def test_a_known_factor_is_recovered() -> None:
    surrogate, frames = soft_prior(), stiff_frames(4)
    unseen = frames[3:]
    before = force_rmse(surrogate, unseen)
    EXACT.build(surrogate).update(frames[:3])
    assert force_rmse(surrogate, unseen) < 1e-3 * before
    ways = [
        frames[3].label.energy - frames[0].label.energy,
        surrogate.predict(frames[3].atoms).energy - surrogate.predict(frames[0].atoms).energy,
    ]
    assert ways[1] == pytest.approx(ways[0], rel=1e-3)


def test_each_pair_of_labels_draws_the_factor_further_from_one() -> None:
    frames, factors = stiff_frames(6), []
    for count in range(1, 7):
        surrogate = soft_prior()
        CurvatureSpec().build(surrogate).update(frames[:count])
        forces = surrogate.predict(frames[0].atoms).forces
        below = surrogate.prior.predict(frames[0].atoms).forces
        factors.append(np.sum(forces * below) / np.sum(below**2))
    assert factors[0] == pytest.approx(1)
    assert (np.diff(factors) > 0).all()
    assert factors[-1] < 1 / SOFTNESS


def test_constant_errors_of_the_forces_do_not_matter() -> None:
    frames = stiff_frames(3)
    shift = np.random.default_rng(5).normal(size=frames[0].label.forces.shape)
    pulled = [Frame(f.atoms, Label(f.label.energy, f.label.forces + shift)) for f in frames]
    surrogate = soft_prior()
    EXACT.build(surrogate).update(pulled)
    forces = surrogate.predict(frames[0].atoms).forces
    assert forces == pytest.approx(frames[0].label.forces, abs=1e-4)


def test_the_factor_is_the_minimum_of_the_penalized_squares() -> None:
    rng = np.random.default_rng(0)
    model, parent = rng.normal(scale=0.2, size=(2, 4, 7))
    spec = CurvatureSpec(lowest=1e-6, highest=1e6)
    factors = np.linspace(-2, 3, 100001)
    cost = (factors - 1) ** 2 / spec.prior_std**2
    for before, after in zip(model, parent, strict=True):
        square = before @ before
        variance = spec.scatter**2 + spec.noise**2 * len(before) / square
        cost += (factors - before @ after / square) ** 2 / variance
    best = float(factors[np.argmin(cost)])
    assert 0 < best < 1
    assert posterior_factor(model, parent, spec) == pytest.approx(best, abs=1e-4)  # half the grid


@pytest.mark.parametrize(("factor", "bound"), [(-9.0, 0.5), (9.0, 2.0)])
def test_the_factor_stays_within_its_bounds(factor: float, bound: float) -> None:
    model = np.random.default_rng(0).normal(size=(3, 5))
    assert posterior_factor(model, factor * model, CurvatureSpec()) == bound


def test_a_model_that_feels_nothing_tells_nothing() -> None:
    assert posterior_factor(np.zeros((2, 4)), np.ones((2, 4)), CurvatureSpec()) == 1


def test_forces_are_minus_the_gradient() -> None:
    surrogate, frames = soft_prior(), stiff_frames(3)
    CurvatureSpec().build(surrogate).update(frames)
    atoms, step = frames[0].atoms, 1e-4
    forces = surrogate.predict(atoms).forces
    assert np.abs(forces - surrogate.prior.predict(atoms).forces).max() > 0.01
    for direction in random_directions(atoms, count=3):
        ahead, behind = (displaced(atoms, h * direction) for h in (step, -step))
        slope = (surrogate.predict(ahead).energy - surrogate.predict(behind).energy) / (2 * step)
        assert slope == pytest.approx(-np.sum(forces * direction), abs=1e-6)


def displaced(atoms: Atoms, way: Array) -> Atoms:
    return moved(atoms, atoms.positions + way)


def test_the_spread_is_stretched_with_the_forces() -> None:
    below = Prediction(2.0, np.ones((1, 3)), 0.1, np.full((1, 3), 0.2))
    said = CurvatureCorrection(1.5, 1.0, -7.0).apply(Atoms("H"), below)
    assert said.energy == pytest.approx(-5.5)
    assert said.forces == pytest.approx(np.full((1, 3), 1.5))
    assert said.energy_std == pytest.approx(0.15)
    assert said.forces_std == pytest.approx(np.full((1, 3), 0.3))


def test_weights_that_change_below_are_noticed() -> None:
    frames = emt_frames(3)
    recipe = EnsembleTunerSpec((GradientSpec(learning_rate=1e-2, epochs=10),))
    surrogate = CompositeSurrogate(EnsembleSpec((ToySpec(seed=1), ToySpec(seed=2))).build())
    tuner = StackSpec((recipe, CurvatureSpec())).build(surrogate)
    for count in (1, 2, 3):
        tuner.update(frames[:count])
    then = surrogate.predict(frames[0].atoms).forces
    CurvatureTuner(CurvatureSpec(), surrogate).update(frames)  # remembers nothing
    assert np.array_equal(surrogate.predict(frames[0].atoms).forces, then)


def test_what_stands_below_is_asked_once_for_each_label() -> None:
    asked: list[str] = []

    class Watched(CompositeSurrogate):
        def predict_below(self, name: str, atoms: Atoms) -> Prediction:
            asked.append(name)
            return super().predict_below(name, atoms)

    tuner = CurvatureSpec().build(Watched(soft_prior().prior))
    frames = stiff_frames(4)
    for count in range(1, 5):
        tuner.update(frames[:count])
    assert asked == [NAME] * (4 + 3)  # and once in each later update, for what may have changed


@pytest.mark.parametrize("fixed", [True, False])
def test_labels_that_teach_nothing_are_refused(fixed: bool) -> None:
    first, second = emt_frames(2)
    if fixed:
        first.atoms.set_constraint(FixAtoms(range(len(first.atoms))))
    else:
        second.atoms.symbols[0] = "Ni"
    with pytest.raises(FineTuningError, match=r"all components are fixed|not of one system"):
        CurvatureSpec().build(soft_prior()).update([first, second])


def test_a_surrogate_that_cannot_be_corrected_is_refused() -> None:
    with pytest.raises(ValueError, match="AseSurrogate cannot be corrected"):
        CurvatureSpec().build(soft_prior().prior)  # type: ignore[arg-type]  # what is refused


@pytest.mark.parametrize("name", ["prior_std", "scatter", "noise"])
def test_settings_that_are_not_positive_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is 0 but must be positive"):
        CurvatureSpec(**{name: 0})


@pytest.mark.parametrize(("lowest", "highest"), [(0.0, 2.0), (1.1, 2.0), (0.5, 0.9)])
def test_bounds_that_leave_one_out_are_refused(lowest: float, highest: float) -> None:
    with pytest.raises(ValueError, match=f"`lowest` is {lowest} and `highest` is {highest}"):
        CurvatureSpec(lowest=lowest, highest=highest)


def test_spec_survives_json() -> None:
    spec = CurvatureSpec(prior_std=0.2, highest=1.5)
    assert json.loads(json.dumps(spec, cls=MontyEncoder), cls=MontyDecoder) == spec
