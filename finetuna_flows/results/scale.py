"""Whether a surrogate's energies are on the parent's scale, and how to draw them if not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finetuna_flows.geometry import Array
from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.tables.numbers import signed


@dataclass(frozen=True)
class Shift:
    """What is added to predictions so that they can be drawn beside labels."""

    before: float
    """eV; up to the first label, the prediction that it answers included."""
    after: float
    """eV; from there on."""
    joined: bool = False
    """Whether it is what makes the last prediction before the first label meet that label, for
    want of a geometry of which both are known."""

    def of_steps(self, trajectory: Trajectory) -> Array:
        """The shift at each step, eV."""
        first = trajectory.labelled.index(True)
        return np.where(np.arange(len(trajectory.labelled)) <= first, self.before, self.after)

    @property
    def sentence(self) -> str:
        """For a legend."""
        if self.before == self.after:
            said = f",\nshifted by {signed(self.before, 2)} eV" if self.before else ""
            return (
                f"surrogate's prediction{said}{' to meet the first label' if self.joined else ''}"
            )
        sides = {"up to": self.before, "after": self.after}
        said = " and ".join(
            f"{signed(value, 2)} eV {side} the first label"
            for side, value in sides.items()
            if value
        )
        return f"surrogate's prediction,\nshifted by {said}"


def shift_of(trajectory: Trajectory) -> Shift | None:
    """How far the surrogate's energies are from the parent's scale; None without predictions.

    Until a label has told the parent's scale, predictions may be on another; imported ones may be
    throughout (the published runs predict adsorption energies). So the difference at the first
    label is one measure, the mean at all later ones another. Predictions are left alone where it
    is smaller than the range of the labels: then it is an error, not a scale. If both are larger,
    all are shifted by the mean over all labels. Where no labelled geometry was predicted (a walk
    of the surrogate alone, and then of the parent alone), the walk's end meets the first label.

    Parameters
    ----------
    trajectory
        With at least one label.
    """
    predicted = numbers(trajectory.predicted_energies)
    energies, labelled = np.array(trajectory.energies), np.array(trajectory.labelled)
    if np.isnan(predicted).all():
        return None
    span = float(np.ptp(energies[labelled]))
    gaps = (energies - predicted)[labelled & ~np.isnan(predicted)]
    if not len(gaps):
        first = trajectory.labelled.index(True)
        known = predicted[:first][~np.isnan(predicted[:first])]
        gap = float(energies[first] - known[-1]) if len(known) else 0.0
        return Shift(gap, gap, joined=True) if abs(gap) > span else Shift(0.0, 0.0)
    first_gap, later = float(gaps[0]), float(gaps[1:].mean()) if len(gaps) > 1 else 0.0
    if abs(first_gap) > span and abs(later) > span:
        return Shift(float(gaps.mean()), float(gaps.mean()))
    if len(gaps) == 1 and abs(first_gap) > span:
        return Shift(first_gap, first_gap)
    return Shift(first_gap if abs(first_gap) > span else 0.0, later if abs(later) > span else 0.0)


def numbers(values: Sequence[float | None]) -> Array:
    """NaN for None, which breaks a line."""
    return np.array([np.nan if value is None else value for value in values])
