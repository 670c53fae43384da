"""Online relaxation: honest endpoints, fewer parent calls, every optimizer, every limit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT as EMTCalculator  # noqa: N811 - its name here is a target
from ase.constraints import FixAtoms

from finetuna_flows.geometry import fmax, free_components
from finetuna_flows.history import SAME_ENERGY
from finetuna_flows.parents.ase_engine import AseParent
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.queries.combine import AnyOf
from finetuna_flows.queries.displacement import Displacement
from finetuna_flows.queries.every_k import EveryK
from finetuna_flows.queries.fixed import FirstN
from finetuna_flows.reasons import Integrity, QueryReason, StopReason
from finetuna_flows.records import FitReport, Frame, Label
from finetuna_flows.relaxation.checkpoint import LEDGER_NAME, Ledger
from finetuna_flows.relaxation.limits import Limits
from finetuna_flows.relaxation.online import relax_online
from finetuna_flows.relaxation.optimizers import ON_THE_PARENT, ON_THE_SURROGATE
from finetuna_flows.structures.connectivity import same_minimum
from finetuna_flows.surrogates.composite import CompositeSurrogate
from finetuna_flows.surrogates.specs import AseSurrogateSpec
from tests.relaxation.parts import IDENTITY, METHODS, direct, emt, online, warm_start
from tests.systems import MORSE, MORSE_ARGUMENTS, oxygen_on_copper


@pytest.mark.parametrize("method", METHODS)
def test_the_endpoint_is_what_the_parent_says_of_it(method: str, tmp_path: Path) -> None:
    relaxation = METHODS[method](oxygen_on_copper(), tmp_path)
    label = emt().label(relaxation.final)
    assert relaxation.converged
    assert relaxation.energy == pytest.approx(label.energy, abs=1e-9)
    free = free_components(relaxation.start)
    assert fmax(label.forces, free) <= relaxation.fmax_threshold
    assert relaxation.integrity is Integrity.INTACT


def test_online_needs_half_the_calls_and_finds_the_same_minimum(tmp_path: Path) -> None:
    atoms = oxygen_on_copper()
    learned = online(atoms, tmp_path / "online")
    alone = direct(atoms, tmp_path / "direct")
    assert learned.parent_calls <= alone.parent_calls / 2
    assert same_minimum(learned.final, alone.final).same
    assert learned.energy == pytest.approx(alone.energy, abs=2e-3)  # fmax / curvature


def test_without_learning_the_prior_ends_elsewhere(tmp_path: Path) -> None:
    walked = warm_start(oxygen_on_copper(), tmp_path, limits=Limits(max_steps=500))
    handed_over = next(step for step in walked.steps if step.label)
    assert fmax(handed_over.forces, free_components(walked.start)) > 10 * walked.fmax_threshold


def test_the_parent_takes_over_from_a_surrogate_that_does_not_converge(tmp_path: Path) -> None:
    walked = warm_start(oxygen_on_copper(), tmp_path, max_surrogate_steps=3)
    assert [step.label is None for step in walked.steps[:4]] == [True, True, True, False]
    assert walked.converged


def test_an_endpoint_is_verified_once_its_predicted_forces_are_small_enough(
    tmp_path: Path,
) -> None:
    relaxation = online(
        oxygen_on_copper(), tmp_path, criterion=EveryK(10**6), fmax=0.05, endpoint_fraction=0.2
    )
    free = free_components(relaxation.start)
    predicted = [
        fmax(step.prediction.forces, free) for step in relaxation.labelled if step.prediction
    ]
    assert max(predicted) <= 0.2 * 0.05
    assert relaxation.converged


def test_a_worse_label_sends_the_optimizer_back_to_the_best(tmp_path: Path) -> None:
    """Big steps on a poor prior: some labels are worse than the one before."""
    start = oxygen_on_copper()
    start.positions[-1, :2] += (0.5, 0.3)
    criterion = AnyOf((FirstN(1), Displacement(1.5)))
    relaxation = online(start, tmp_path, criterion=criterion)
    worse = 0
    best = relaxation.labelled[0]
    for step in relaxation.labelled[1:-1]:
        if step.energy > best.energy + SAME_ENERGY:
            worse += 1
            after = relaxation.steps[step.index + 1]
            assert after.label is None
            np.testing.assert_array_equal(after.positions, best.positions)
        elif step.energy < best.energy:
            best = step
    assert worse


class Recording(AseParent):
    """EMT that remembers where it was asked."""

    def __init__(self) -> None:
        super().__init__(EMTCalculator(), "EMT")
        self.asked: list[bytes] = []

    def label(self, atoms: Atoms) -> Label:
        self.asked.append(atoms.positions.tobytes())
        return super().label(atoms)


class NothingLearned:
    """A tuner whose labels change nothing: the same way leads to the same place again."""

    def update(self, frames: Sequence[Frame]) -> FitReport:
        return FitReport("nothing", len(frames), 0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["FIRE", "MDMin"])
def test_the_parent_is_never_asked_twice_for_one_geometry(optimizer: str, tmp_path: Path) -> None:
    surrogate = CompositeSurrogate(AseSurrogateSpec(MORSE, MORSE_ARGUMENTS).build())
    with Ledger(tmp_path, IDENTITY) as ledger, Recording() as parent:
        relaxation = relax_online(
            oxygen_on_copper(),
            surrogate=surrogate,
            tuner=NothingLearned(),
            parent=parent,
            criterion=FirstN(1),
            ledger=ledger,
            fmax=0.02,
            limits=Limits(max_steps=600),
            optimizer=optimizer,
            returns_to_best=True,
        )
    assert len(parent.asked) == len(set(parent.asked)) > 1
    paid = [step for step in relaxation.labelled if step.label and step.label.wall_time > 0]
    assert len(paid) == len(parent.asked) < len(relaxation.labelled)
    energies = [step.label.energy for step in relaxation.labelled if step.label]
    assert relaxation.stop_reason is StopReason.MAX_STEPS
    assert relaxation.energy is not None
    assert relaxation.energy <= min(energies) + SAME_ENERGY


def test_nothing_ends_on_a_predicted_force(tmp_path: Path) -> None:
    relaxation = online(oxygen_on_copper(), tmp_path, criterion=EveryK(10**6))
    reasons = {reason for step in relaxation.labelled for reason in step.decision.reasons}
    assert reasons == {QueryReason.ENDPOINT}
    assert relaxation.converged


@pytest.mark.parametrize("optimizer", ["BFGS", "LBFGS", "RFO"])
def test_an_optimizer_that_divides_by_zero_starts_afresh(optimizer: str, tmp_path: Path) -> None:
    slope = AseParentSpec("tests.systems:Slope").build()
    relaxation = direct(
        oxygen_on_copper(), tmp_path, parent=slope, optimizer=optimizer, limits=Limits(max_steps=9)
    )
    assert relaxation.stop_reason is StopReason.MAX_STEPS
    assert all(np.isfinite(step.positions).all() for step in relaxation.steps)


def test_fixed_atoms_stay_and_the_start_is_not_touched(tmp_path: Path) -> None:
    atoms = oxygen_on_copper()
    before = atoms.positions.copy()
    relaxation = online(atoms, tmp_path)
    np.testing.assert_array_equal(atoms.positions, before)
    assert atoms.calc is None
    for step in relaxation.steps:
        np.testing.assert_array_equal(step.positions[:4], before[:4])


@pytest.mark.parametrize("optimizer", ON_THE_SURROGATE)
def test_every_optimizer_drives_the_learner(optimizer: str, tmp_path: Path) -> None:
    relaxation = online(oxygen_on_copper(), tmp_path, optimizer=optimizer)
    assert relaxation.converged


@pytest.mark.parametrize("optimizer", [o for o in ON_THE_PARENT if o != "BFGS"])
def test_every_optimizer_drives_the_parent(optimizer: str, tmp_path: Path) -> None:
    relaxation = direct(oxygen_on_copper(), tmp_path, optimizer=optimizer, fmax=0.05)
    assert relaxation.converged
    assert all(step.label for step in relaxation.steps)


@pytest.mark.parametrize("optimizer", ["GPMin", "BFGSLineSearch", "CG"])
def test_energies_are_compared_on_the_scale_of_the_forces(optimizer: str, tmp_path: Path) -> None:
    wiggling = AseParentSpec("tests.systems:Wiggling").build()
    atoms = oxygen_on_copper()
    plain = direct(atoms, tmp_path / "plain", optimizer=optimizer)
    wiggled = direct(atoms, tmp_path / "wiggled", parent=wiggling, optimizer=optimizer)
    assert wiggled.parent_calls == plain.parent_calls
    assert wiggled.energy != plain.energy


def test_labels_without_curvature_do_not_end_a_learner(tmp_path: Path) -> None:
    slope = AseParentSpec("tests.systems:Slope").build()
    relaxation = online(oxygen_on_copper(), tmp_path, parent=slope, limits=Limits(max_steps=40))
    assert relaxation.stop_reason is StopReason.MAX_STEPS
    assert relaxation.parent_calls > 2


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_steps=4), StopReason.MAX_STEPS),
        (Limits(max_parent_calls=2), StopReason.MAX_PARENT_CALLS),
        (Limits(max_wall_time=1e-9), StopReason.MAX_WALL_TIME),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_limits_end_the_run_and_say_so(
    method: str, limits: Limits, reason: StopReason, tmp_path: Path
) -> None:
    relaxation = METHODS[method](oxygen_on_copper(), tmp_path, limits=limits)
    assert relaxation.stop_reason is reason
    assert not relaxation.converged
    if limits.max_parent_calls:
        assert relaxation.parent_calls == limits.max_parent_calls


@pytest.mark.parametrize("name", ["max_steps", "max_parent_calls", "max_wall_time"])
def test_limits_refuse_what_is_not_positive(name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` is 0 but must be positive"):
        Limits(**{name: 0})


def test_an_unknown_optimizer_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`optimizer` is 'Newton' but must be one of BFGS"):
        online(oxygen_on_copper(), tmp_path, optimizer="Newton")
    with pytest.raises(ValueError, match="'GPMin' but must be one of"):
        online(oxygen_on_copper(), tmp_path, optimizer="GPMin")


def test_a_threshold_of_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`fmax` is 0\.0 eV/Å but must be a positive number"):
        online(oxygen_on_copper(), tmp_path, fmax=0.0)


def test_an_adsorbate_that_leaves_is_recorded_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    atoms = oxygen_on_copper()
    atoms.set_constraint(FixAtoms(range(8)))
    repelling = AseParentSpec(
        "ase.calculators.lj:LennardJones", {"sigma": 3.2, "epsilon": 0.02, "rc": 6.0}
    )
    relaxation = direct(atoms, tmp_path, parent=repelling.build())
    assert relaxation.converged
    assert relaxation.integrity is Integrity.DESORBED
    assert caplog.text.count(Integrity.DESORBED.sentence) == 1


class Resting(AseParent):
    """EMT that notes how many labels lie on disk whenever it may rest."""

    def __init__(self, ledger: Path) -> None:
        super().__init__(EMTCalculator(), "EMT that rests")
        self.kept: list[int] = []
        self._ledger = ledger

    def rest(self) -> None:
        self.kept.append(self._ledger.read_text().count('"label":{'))


def test_a_parent_rests_once_its_label_is_on_disk(tmp_path: Path) -> None:
    parent = Resting(tmp_path / LEDGER_NAME)
    relaxation = online(oxygen_on_copper(), tmp_path, parent=parent)
    assert parent.kept == list(range(1, relaxation.parent_calls + 1))
