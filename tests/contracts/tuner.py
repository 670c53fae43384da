"""What every tuner must do, whatever it learns with."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms

from finetuna_flows.errors import FineTuningError
from finetuna_flows.geometry import free_components
from finetuna_flows.protocols import CorrectableSurrogate, FineTuner
from finetuna_flows.records import Frame


def force_rmse(surrogate: CorrectableSurrogate, frames: Sequence[Frame]) -> float:
    """Root mean square error over the free force components of all frames, in eV/Å."""
    errors = [
        (surrogate.predict(frame.atoms).forces - frame.label.forces)[free_components(frame.atoms)]
        for frame in frames
    ]
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


class FineTunerContract(ABC):
    """Subclass it as ``TestX(FineTunerContract)`` and name the tuner and its frames."""

    @abstractmethod
    def tuner_and_surrogate(self) -> tuple[FineTuner, CorrectableSurrogate]:
        """Return a fresh tuner that has seen no label, and the surrogate round which it is built.

        Two calls must give tuners that start from the same weights.
        """

    @abstractmethod
    def frames(self) -> Sequence[Frame]:
        """Return at least two labelled geometries of one structure, oldest first."""

    def test_a_report_says_what_was_done(self) -> None:
        tuner, _ = self.tuner_and_surrogate()
        frames = self.frames()
        report = tuner.update(frames)
        assert report.tuner
        assert 1 <= report.n_frames <= len(frames)
        assert report.epochs is None or report.epochs > 0
        assert report.wall_time > 0
        assert np.isfinite([report.force_rmse_before, report.force_rmse_after]).all()

    def test_the_report_counts_the_errors_that_the_surrogate_makes(self) -> None:
        tuner, surrogate = self.tuner_and_surrogate()
        newest = self.frames()[-1:]
        before = force_rmse(surrogate, newest)
        report = tuner.update(newest)
        assert report.n_frames == 1
        assert report.force_rmse_before == pytest.approx(before, rel=1e-3)
        assert report.force_rmse_after == pytest.approx(force_rmse(surrogate, newest), rel=1e-3)

    def test_learning_lowers_the_error_on_its_own_labels(self) -> None:
        tuner, _ = self.tuner_and_surrogate()
        for count in range(1, len(self.frames()) + 1):
            report = tuner.update(self.frames()[:count])
            assert report.force_rmse_after < report.force_rmse_before

    def test_the_energy_at_the_newest_label_is_the_parents(self) -> None:
        tuner, surrogate = self.tuner_and_surrogate()
        newest = self.frames()[-1]
        tuner.update(self.frames())
        energy = surrogate.predict(newest.atoms).energy
        assert energy == pytest.approx(newest.label.energy, abs=5e-3)  # a tuner may smooth energies

    def test_constant_shift_of_the_parents_energies_changes_no_force(self) -> None:
        frames = self.frames()
        shifted = [
            Frame(f.atoms, type(f.label)(f.label.energy + 1e4, f.label.forces)) for f in frames
        ]
        forces = []
        for labels in (frames, shifted):
            tuner, surrogate = self.tuner_and_surrogate()
            for count in range(1, len(labels) + 1):
                tuner.update(labels[:count])
            forces.append(surrogate.predict(frames[0].atoms).forces)
        assert forces[1] == pytest.approx(forces[0], abs=1e-5)  # 1e4 eV cost ten decimals

    def test_the_same_labels_teach_the_same(self) -> None:
        predictions = []
        for _ in range(2):
            tuner, surrogate = self.tuner_and_surrogate()
            tuner.update(self.frames())
            predictions.append(surrogate.predict(self.frames()[0].atoms))
        assert predictions[0].energy == predictions[1].energy
        assert np.array_equal(predictions[0].forces, predictions[1].forces)

    def test_frames_stay_as_they_are(self) -> None:
        tuner, _ = self.tuner_and_surrogate()
        frames = list(self.frames())
        kept = copy.deepcopy(frames)
        tuner.update(frames)
        for frame, before in zip(frames, kept, strict=True):
            assert_same_atoms(frame.atoms, before.atoms)
            assert frame.label.energy == before.label.energy
            assert np.array_equal(frame.label.forces, before.label.forces)

    def test_update_without_labels_is_refused(self) -> None:
        tuner, _ = self.tuner_and_surrogate()
        with pytest.raises(FineTuningError, match=r"0 labels .* at least 1"):
            tuner.update([])


def assert_same_atoms(now: Atoms, before: Atoms) -> None:
    """Fail unless nothing at all was changed between two looks at the same atoms."""
    assert now == before
    assert str(now.info) == str(before.info)
    assert set(now.arrays) == set(before.arrays)
    for name, values in now.arrays.items():
        assert np.array_equal(values, before.arrays[name])
    assert now.calc is before.calc
    assert [c.todict() for c in now.constraints] == [c.todict() for c in before.constraints]
