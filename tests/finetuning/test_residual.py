"""The residual process round a real surrogate: systems, coordinates, energies, bookkeeping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import FineTuningError, SurrogateError
from finetuna_flows.finetuning.residual import ResidualGPTuner
from finetuna_flows.finetuning.specs import ResidualGPSpec
from finetuna_flows.geometry import Array, free_components, moved
from finetuna_flows.protocols import CorrectableSurrogate, FineTuner, Surrogate
from finetuna_flows.records import Frame, Label, Prediction
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import ToySpec
from tests.contracts.tuner import FineTunerContract, force_rmse

ENERGY_ZERO = -500.0  # eV; of the parent against the prior


class SoftSprings:
    """A poor prior: every atom is tied to its place in an ideal slab. Counts its calls."""

    elements: frozenset[str] | None = None

    def __init__(self, places: Array) -> None:
        self.places = places
        self.stiffness = 2.0
        self.calls = 0

    def predict(self, atoms: Atoms) -> Prediction:
        self.calls += 1
        way = atoms.positions - self.places
        return Prediction(self.stiffness / 2 * float((way**2).sum()), -self.stiffness * way)


class Nothing:
    """A prior that predicts nothing everywhere."""

    elements: frozenset[str] | None = None

    def predict(self, atoms: Atoms) -> Prediction:
        return Prediction(0.0, np.zeros_like(atoms.positions))


class Constant:
    """A correction that adds the same to all energies."""

    def __init__(self, energy: float) -> None:
        self.energy = energy

    def apply(self, atoms: Atoms, below: Prediction) -> Prediction:
        return Prediction(below.energy + self.energy, below.forces)


def oxygen_on_copper() -> Atoms:
    slab: Atoms = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    add_adsorbate(slab, "O", 1.3, "fcc")
    slab.set_constraint(FixAtoms([0, 1, 2, 3]))
    return slab


def label(atoms: Atoms) -> Label:
    """EMT as the parent."""
    copy = atoms.copy()
    copy.calc = EMT()
    return Label(copy.get_potential_energy() + ENERGY_ZERO, copy.get_forces(apply_constraint=False))


def rattled(count: int, size: float = 0.08, seed: int = 3) -> list[Atoms]:
    start = oxygen_on_copper()
    rng = np.random.default_rng(seed)
    noise = [
        np.where(free_components(start), rng.normal(size=(len(start), 3)), 0.0)
        for _ in range(count)
    ]
    return [moved(start, start.positions + size * way) for way in noise]


def labelled(structures: Sequence[Atoms]) -> list[Frame]:
    return [Frame(atoms, label(atoms)) for atoms in structures]


def surrogate() -> CompositeSurrogate:
    return CompositeSurrogate(SoftSprings(oxygen_on_copper().positions))


def learned(frames: Sequence[Frame], spec: ResidualGPSpec | None = None) -> CompositeSurrogate:
    composite = surrogate()
    (spec or ResidualGPSpec()).build(composite).update(frames)
    return composite


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return labelled(rattled(4))


@pytest.fixture(scope="module")
def taught(frames: list[Frame]) -> CompositeSurrogate:
    return learned(frames)


class TestResidualGPTuner(FineTunerContract):
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        composite = surrogate()
        return ResidualGPSpec().build(composite), composite

    def frames(self) -> Sequence[Frame]:
        return labelled(rattled(3))


def test_spec_survives_json() -> None:
    spec = ResidualGPSpec(length=1.7, force_noise=1e-3)
    assert MontyDecoder().decode(MontyEncoder().encode(spec)) == spec


@pytest.mark.parametrize("name", ["length", "force_noise", "energy_noise", "smallest_force"])
def test_spec_refuses_what_is_not_positive(name: str) -> None:
    fields: dict[str, Any] = {name: -1.0}
    with pytest.raises(ValueError, match=f"`{name}` is -1.0 but must be positive"):
        replace(ResidualGPSpec(), **fields)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"pair_weight": -1.0}, "zero or more"),
        ({"pair_functions": 1}, "at least 2"),
        ({"pair_cutoff": 0.0}, "positive"),
        ({"length_bounds": (2.0, 1.0)}, "two positive numbers, rising"),
        ({"pair_weight_bounds": (0.0, 1.0)}, "two positive numbers, rising"),
    ],
)
def test_spec_refuses_a_pair_potential_that_cannot_be(fields: dict[str, Any], rule: str) -> None:
    (name,) = fields
    with pytest.raises(ValueError, match=f"`{name}` is .* must be {rule}"):
        replace(ResidualGPSpec(), **fields)


def test_bounds_survive_json() -> None:
    spec = ResidualGPSpec(length_bounds=(0.5, 2.0))
    assert MontyDecoder().decode(MontyEncoder().encode(spec)) == spec


def test_forces_are_minus_the_gradient_of_the_corrected_energy(taught: CompositeSurrogate) -> None:
    atoms = rattled(1, seed=8)[0]
    free, h = free_components(atoms), 1e-3
    gradient = np.zeros_like(atoms.positions)
    for i, j in np.argwhere(free):
        step = np.zeros_like(gradient)
        step[i, j] = h
        up, down = (
            taught.predict(moved(atoms, atoms.positions + s * step)).energy for s in (1, -1)
        )
        gradient[i, j] = (up - down) / (2 * h)
    assert taught.predict(atoms).forces[free] == pytest.approx(-gradient[free], abs=1e-4)


def test_parents_word_is_reproduced_at_the_labels(
    taught: CompositeSurrogate, frames: list[Frame]
) -> None:
    for frame in frames:
        free = free_components(frame.atoms)
        prediction = taught.predict(frame.atoms)
        assert prediction.energy == pytest.approx(frame.label.energy, abs=5e-3)
        assert prediction.forces[free] == pytest.approx(frame.label.forces[free], abs=0.02)


def test_learning_brings_the_error_below_the_bar() -> None:
    unseen = labelled(rattled(5, seed=21))
    before = force_rmse(surrogate(), unseen)
    few, many = (force_rmse(learned(labelled(rattled(m))), unseen) for m in (1, 12))
    bar = 0.35 * before
    assert before > few > bar > many


def test_spread_is_small_at_a_label_and_the_prior_far_away(
    taught: CompositeSurrogate, frames: list[Frame]
) -> None:
    at = taught.predict(frames[1].atoms)
    shift = np.where(free_components(frames[1].atoms), 2.5, 0.0)
    far = taught.predict(moved(frames[1].atoms, frames[1].atoms.positions + shift))
    assert at.forces_std is not None
    assert far.forces_std is not None
    assert at.energy_std is not None
    assert far.energy_std is not None
    assert at.forces_std.max() < 0.02 < 0.1 < far.forces_std[4:].min()
    assert at.energy_std < far.energy_std


def test_without_a_pair_potential_the_prior_has_the_word_far_away(frames: list[Frame]) -> None:
    atoms = oxygen_on_copper()
    taught = learned(frames, ResidualGPSpec(pair_weight=0.0))
    far = moved(atoms, atoms.positions + np.where(free_components(atoms), 2.5, 0.0))
    assert taught.predict(far).forces == pytest.approx(taught.prior.predict(far).forces, abs=1e-3)


def test_pair_potential_generalizes_where_the_process_alone_cannot() -> None:
    """Two labels of small displacements; the unseen ones are three times as large."""
    few, unseen = labelled(rattled(2, 0.05)), labelled(rattled(4, 0.15, seed=11))
    alone = force_rmse(learned(few, ResidualGPSpec(pair_weight=0.0)), unseen)
    assert force_rmse(learned(few), unseen) < 0.8 * alone


def test_descriptors_of_the_prior_join_the_coordinates() -> None:
    """Energy and forces still agree, and the labels are still reproduced."""
    frames, unseen = labelled(rattled(3)), rattled(1, seed=8)[0]
    composite = CompositeSurrogate(ToySpec().build())
    ResidualGPSpec(features=True).build(composite).update(frames)
    plain = CompositeSurrogate(ToySpec().build())
    ResidualGPSpec().build(plain).update(frames)
    assert force_rmse(composite, frames) < 0.02
    found = composite.predict(unseen)
    assert not np.allclose(found.forces, plain.predict(unseen).forces, atol=1e-3)
    step = np.zeros_like(unseen.positions)
    step[-1] = (3e-4, -2e-4, 4e-4)
    up, down = (
        composite.predict(moved(unseen, unseen.positions + way)).energy for way in (step, -step)
    )
    assert up - down == pytest.approx(-2 * float((found.forces * step).sum()), abs=1e-8)


def test_a_prior_without_descriptors_is_refused() -> None:
    with pytest.raises(ValueError, match="SoftSprings shows no descriptors"):
        ResidualGPSpec(features=True).build(surrogate())


def test_likelihood_chooses_within_its_bounds(frames: list[Frame]) -> None:
    composite = surrogate()
    tuner = ResidualGPSpec(length_bounds=(0.7, 0.8)).build(composite)
    assert isinstance(tuner, ResidualGPTuner)
    report = tuner.update(frames)
    assert tuner.process.kernel.length == pytest.approx(0.75, abs=0.0501)
    assert report.force_rmse_after < 0.02


def test_one_label_more_gives_what_all_at_once_give() -> None:
    frames, x = labelled(rattled(5)), rattled(1, seed=30)[0]
    grown = surrogate()
    tuner = ResidualGPSpec().build(grown)
    for count in (2, 3, 5):
        tuner.update(frames[:count])
    expected, found = learned(frames).predict(x), grown.predict(x)
    assert found.forces == pytest.approx(expected.forces, abs=1e-6)
    assert found.forces_std == pytest.approx(expected.forces_std, abs=1e-6)


def test_fixed_components_are_left_alone(taught: CompositeSurrogate) -> None:
    atoms = rattled(1, seed=9)[0]
    corrected, prior = taught.predict(atoms), taught.prior.predict(atoms)
    assert np.array_equal(corrected.forces[:4], prior.forces[:4])
    assert corrected.forces_std is not None
    assert not corrected.forces_std[:4].any()


def test_wrapping_into_the_cell_changes_nothing(frames: list[Frame]) -> None:
    jumps = np.zeros_like(frames[0].atoms.positions)
    jumps[5] = frames[0].atoms.cell[0]
    wrapped = [Frame(moved(f.atoms, f.atoms.positions + jumps), f.label) for f in frames[1:]]
    atoms = rattled(1, seed=12)[0]
    predictions = []
    for labels, at in ((frames, atoms.positions), ([frames[0], *wrapped], atoms.positions + jumps)):
        composite = CompositeSurrogate(Nothing())
        ResidualGPSpec().build(composite).update(labels)
        predictions.append(composite.predict(moved(atoms, at)))
    assert predictions[1].energy == pytest.approx(predictions[0].energy, abs=1e-6)
    assert predictions[1].forces == pytest.approx(predictions[0].forces, abs=1e-6)


def test_order_of_the_atoms_does_not_matter(frames: list[Frame]) -> None:
    order = np.array([2, 0, 3, 1, 8, 6, 4, 7, 5])
    shuffled = [Frame(f.atoms[order], Label(f.label.energy, f.label.forces[order])) for f in frames]
    composites = [CompositeSurrogate(Nothing()) for _ in range(2)]
    for composite, labels in zip(composites, (frames, shuffled), strict=True):
        ResidualGPSpec().build(composite).update(labels)
    atoms = rattled(1, seed=14)[0]
    one, other = composites[0].predict(atoms), composites[1].predict(atoms[order])
    assert other.energy == pytest.approx(one.energy)
    assert other.forces == pytest.approx(one.forces[order], abs=1e-9)


def test_shape_comes_from_the_energy_that_the_forces_belong_to(frames: list[Frame]) -> None:
    """The free energy follows the forces; only its mean distance to the other is reported."""
    spoilt = [0.3, -0.4, 0.2, 0.5]
    with_both = [
        Frame(f.atoms, Label(f.label.energy + off, f.label.forces, free_energy=f.label.energy))
        for f, off in zip(frames, spoilt, strict=True)
    ]
    atoms = rattled(1, seed=15)[0]
    plain, both = learned(frames).predict(atoms), learned(with_both).predict(atoms)
    assert both.forces == pytest.approx(plain.forces)
    assert both.energy == pytest.approx(plain.energy + np.mean(spoilt))


def test_the_same_label_twice_and_one_free_atom_are_no_trouble() -> None:
    start = rattled(1)[0]
    start.set_constraint(FixAtoms(range(8)))
    frame = Frame(start, label(start))
    composite = learned([frame, frame])
    prediction = composite.predict(start)
    assert prediction.forces[8] == pytest.approx(frame.label.forces[8], abs=0.02)


def test_prior_is_asked_once_for_each_label_and_once_to_see_whether_it_changed(
    frames: list[Frame],
) -> None:
    prior = SoftSprings(oxygen_on_copper().positions)
    tuner = ResidualGPTuner(ResidualGPSpec(), CompositeSurrogate(prior))
    tuner.update(frames[:3])
    assert prior.calls == 3
    tuner.update(frames)
    assert prior.calls == 3 + 1 + 1


@pytest.mark.parametrize("changed", ["prior", "correction"])
def test_change_of_what_stands_below_is_noticed(frames: list[Frame], changed: str) -> None:
    prior = SoftSprings(oxygen_on_copper().positions)
    composite = CompositeSurrogate(prior)
    composite.correct("below", Constant(0.0))
    tuner = ResidualGPTuner(ResidualGPSpec(), composite)
    tuner.update(frames)
    if changed == "prior":
        prior.stiffness = 5.0
    else:
        composite.correct("below", Constant(3.0))
    tuner.update(frames)
    for frame in frames:
        assert composite.predict(frame.atoms).energy == pytest.approx(frame.label.energy, abs=5e-3)


def test_another_system_is_refused(taught: CompositeSurrogate, frames: list[Frame]) -> None:
    nitrogen = frames[0].atoms.copy()
    nitrogen.symbols[8] = "N"
    with pytest.raises(SurrogateError, match="atoms are Cu8N but the labels are of Cu8O"):
        taught.predict(nitrogen)
    tuner = ResidualGPSpec().build(surrogate())
    for labels in ([*frames, Frame(nitrogen, frames[0].label)], [Frame(nitrogen, frames[0].label)]):
        with pytest.raises(FineTuningError, match="not of one system: the atoms are Cu8"):
            tuner.update(labels)
        tuner.update(frames)


def test_frames_without_anything_free_are_refused() -> None:
    atoms = oxygen_on_copper()
    atoms.set_constraint(FixAtoms(range(9)))
    with pytest.raises(FineTuningError, match="all components are fixed"):
        learned([Frame(atoms, label(atoms))])


def test_later_update_without_labels_is_refused(frames: list[Frame]) -> None:
    tuner = ResidualGPSpec().build(surrogate())
    tuner.update(frames)
    with pytest.raises(FineTuningError, match="got 0 labels but learning needs at least 1"):
        tuner.update([])


def test_surrogate_that_cannot_be_corrected_is_refused() -> None:
    prior: Surrogate = Nothing()
    with pytest.raises(ValueError, match="Nothing cannot be corrected"):
        ResidualGPTuner(ResidualGPSpec(), prior)  # type: ignore[arg-type]  # what is refused
