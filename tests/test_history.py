"""Which label the optimizer moves on from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from finetuna_flows.history import SAME_ENERGY, History
from finetuna_flows.records import Decision, Label, Prediction, Step


def past(*labels: tuple[float, float] | None, returns_to_best: bool = False) -> History:
    """One step each: energy in eV and fmax in eV/Å of its label; None: the surrogate's."""
    history = History(Atoms("O"), returns_to_best)
    for index, given in enumerate(labels):
        energy, force = given or (-1e6, 0.0)
        forces = np.array([[force, 0.0, 0.0]])
        history.append(
            Step(
                index=index,
                positions=np.full((1, 3), float(index)),
                decision=Decision(()),
                prediction=Prediction(energy, forces),
                label=Label(energy, forces) if given else None,
            )
        )
    return history


@pytest.mark.parametrize(
    ("labels", "best"),
    [
        ([(0.0, 1.0)], 0),
        ([(0.0, 1.0), (-0.1, 2.0)], 1),
        ([(0.0, 1.0), (0.1, 0.1)], 0),
        ([(0.0, 1.0), None, (0.5 * SAME_ENERGY, 0.1)], 2),
        ([(0.0, 1.0), (0.5 * SAME_ENERGY, 2.0)], 0),
        ([(0.0, 1.0), (-0.1, 2.0), None, (0.2, 0.5)], 1),
        ([(0.0, 0.05), (-0.5 * SAME_ENERGY, 2.0)], 0),  # lower, but not by what counts
        ([(0.9 * SAME_ENERGY * i, 1.0 - 0.1 * i) for i in range(5)], 1),  # not step by step
    ],
)
def test_best_is_lowest_and_fmax_decides_between_equals(
    labels: list[tuple[float, float] | None], best: int
) -> None:
    found = past(*labels).best_labelled
    assert found is not None
    assert found.index == best


@pytest.mark.parametrize("off", [-1e-12, 0.0, 1e-12])
def test_of_labels_equal_but_for_rounding_the_oldest_is_best(off: float) -> None:
    found = past((0.0, 1.0), (-0.1, 0.5), (-0.1 + off, 0.5 + off), (-0.1, 0.5 - off)).best_labelled
    assert found is not None
    assert found.index == 1


def test_origin_is_the_last_label_or_the_best_one() -> None:
    labels = [(0.0, 1.0), (-0.1, 2.0), (0.2, 0.5), None]
    last, best = (past(*labels, returns_to_best=way).origin for way in (False, True))
    assert last is not None
    assert best is not None
    assert (last.index, best.index) == (2, 1)


def test_energies_are_those_of_the_forces() -> None:
    history = past((0.0, 1.0))
    label = Label(0.01, np.array([[0.1, 0.0, 0.0]]), free_energy=-0.05)
    history.append(replace(history[0], index=1, positions=np.ones((1, 3)), label=label))
    assert history.best_labelled is history[1]


def test_a_known_geometry_is_found_and_left_behind() -> None:
    history = past((0.0, 1.0), (0.5, 0.2), returns_to_best=True)
    assert history.labelled_at(np.ones((1, 3))) is history[1]
    assert history.labelled_at(np.full((1, 3), 1.1)) is None
    assert history.origin is history[0]
    history.append(replace(history[1], index=2))
    assert history.origin is history[2]


def test_without_a_label_there_is_no_origin() -> None:
    assert past(None, returns_to_best=True).origin is None
    assert past(None).origin is None
