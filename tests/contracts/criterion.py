"""What every query criterion must do, whatever it asks for."""

from __future__ import annotations

import json
import pickle
from abc import ABC, abstractmethod
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from ase.constraints import FixAtoms
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.geometry import Array
from finetuna_flows.history import History
from finetuna_flows.protocols import QueryCriterion
from finetuna_flows.queries import AllOf, AnyOf
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, Label, Prediction, Step


class Situation(NamedTuple):
    """What a criterion is asked about."""

    past: History
    atoms: Atoms
    prediction: Prediction


def slab() -> Atoms:
    """CO on four copper atoms, of which two cannot move."""
    atoms: Atoms = fcc111("Cu", (1, 2, 2), a=3.6, vacuum=6.0)
    adsorbate = molecule("CO")
    adsorbate.translate(atoms.positions[-1] + (0.0, 0.0, 2.4))
    atoms.extend(adsorbate)
    atoms.set_constraint(FixAtoms([0, 1]))
    return atoms


def situation(
    *,
    steps: int = 0,
    labelled: tuple[int, ...] = (),
    scale: float = 1.0,
    spread: float | None = 0.1,
) -> Situation:
    """A run of random small moves, and the geometry that comes after it."""
    rng = np.random.default_rng(7)
    past = History(slab())
    positions = past.start.positions.copy()
    shape = positions.shape
    for index in range(steps):
        forces = rng.normal(size=shape)
        label = Label(-1.0, forces) if index in labelled else None
        reasons = (QueryReason.FIRST,) if label else ()
        past.append(Step(index, positions, Decision(reasons), Prediction(-1.0, forces), label))
        positions = positions + rng.normal(scale=0.1, size=shape)
    atoms = past.start.copy()
    atoms.set_positions(positions, apply_constraint=False)
    std = None if spread is None else spread * rng.uniform(0.1, 1.0, size=shape)
    return Situation(past, atoms, Prediction(-1.0, scale * rng.normal(size=shape), None, std))


SITUATIONS = {
    "start": situation(),
    "no label yet": situation(steps=4),
    "just labelled": situation(steps=4, labelled=(0, 3)),
    "long ago": situation(steps=60, labelled=(0,)),
    "nearly relaxed": situation(steps=9, labelled=(0, 5), scale=1e-3),
    "certain": situation(steps=9, labelled=(0, 5), spread=1e-6),
}


def changed(given: Situation, shift: Array, rotation: Array, order: list[int]) -> Situation:
    """The same situation, turned, shifted, and with its atoms in another order."""

    def place(positions: Array) -> Array:
        return (positions @ rotation.T + shift)[order]

    def turn(vectors: Array) -> Array:
        return (vectors @ rotation.T)[order]

    def tell(word: Prediction) -> Prediction:
        return Prediction(word.energy, turn(word.forces), word.energy_std, word.forces_std)

    start = given.past.start
    copy = start[order]
    copy.set_cell(start.cell.array @ rotation.T)
    copy.set_positions(place(start.positions), apply_constraint=False)
    past = History(copy)
    for step in given.past:
        label = Label(step.label.energy, turn(step.label.forces)) if step.label else None
        said = tell(step.prediction) if step.prediction else None
        past.append(Step(step.index, place(step.positions), step.decision, said, label))
    atoms = copy.copy()
    atoms.set_positions(place(given.atoms.positions), apply_constraint=False)
    std = given.prediction.forces_std
    said = Prediction(
        given.prediction.energy,
        turn(given.prediction.forces),
        None,
        None if std is None else std[order],
    )
    return Situation(past, atoms, said)


class CriterionContract(ABC):
    """Subclass it as ``TestX(CriterionContract)`` and name the criterion."""

    @abstractmethod
    def criterion(self) -> QueryCriterion:
        """Return the criterion under test."""

    @pytest.fixture(params=SITUATIONS)
    def given(self, request: pytest.FixtureRequest) -> Situation:
        return SITUATIONS[request.param]

    def test_the_same_past_has_the_same_answer(self, given: Situation) -> None:
        criterion = self.criterion()
        first = criterion.decide(*given)
        assert criterion.decide(*given) == first
        assert self.criterion().decide(*given) == first

    def test_nothing_is_changed(self, given: Situation) -> None:
        before = pickle.dumps((list(given.past), given.past.start, given.atoms, given.prediction))
        self.criterion().decide(*given)
        after = pickle.dumps((list(given.past), given.past.start, given.atoms, given.prediction))
        assert after == before

    def test_place_and_order_do_not_matter(self, given: Situation) -> None:
        order = [3, 0, 5, 2, 1, 4]
        none, still = np.eye(3), np.zeros(3)
        expected = self.criterion().decide(*given)
        moved = changed(given, np.array([1.0, -2.0, 0.3]), none, list(range(6)))
        assert self.criterion().decide(*moved) == expected
        permuted = changed(given, still, none, order)
        assert self.criterion().decide(*permuted) == expected

    def test_the_direction_does_not_matter(self, given: Situation) -> None:
        turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
        past, atoms, prediction = changed(given, np.zeros(3), turn, list(range(6)))
        expected = self.criterion().decide(*given)
        assert self.criterion().decide(past, atoms, prediction) == expected

    def test_it_comes_back_from_json(self) -> None:
        criterion = self.criterion()
        assert json.loads(json.dumps(criterion, cls=MontyEncoder))["@class"]
        assert MontyDecoder().decode(json.dumps(criterion, cls=MontyEncoder)) == criterion

    def test_it_is_frozen(self) -> None:
        criterion: Any = self.criterion()
        assert is_dataclass(criterion)
        with pytest.raises(FrozenInstanceError):
            setattr(criterion, fields(criterion)[0].name, None)

    def test_it_composes(self, given: Situation) -> None:
        criterion = self.criterion()
        expected = criterion.decide(*given)
        assert AnyOf((criterion,)).decide(*given) == expected
        assert AllOf((criterion, criterion)).decide(*given) == expected

    def test_the_length_of_the_past_costs_nothing(self) -> None:
        """A list that counts: no criterion may walk through the steps."""
        given = situation(steps=50, labelled=(0,))
        counting = CountingSteps(given.past)
        past = History(
            given.past.start,
            _steps=counting,
            _frames=list(given.past.frames),
            _labelled=[0],
            _best=given.past.best_labelled,
        )
        self.criterion().decide(past, given.atoms, given.prediction)
        assert counting.looks <= 5


class CountingSteps(list[Step]):
    """Counts how often a step is looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        self.looks += 1
        return super().__getitem__(index)

    def __iter__(self) -> Any:
        self.looks += len(self)
        return super().__iter__()
