"""The loss: against plain numpy, and its slope along a weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase.constraints import FixCartesian

from finetuna_flows.finetuning.loss import EnergyReference, Sample, force_rmse
from finetuna_flows.geometry import free_components
from finetuna_flows.surrogates.toy import ToySurrogate
from tests.finetuning.emt_frames import emt_frame, emt_frames

SAME = EnergyReference(0.0, 0.0)


def loss(toy: ToySurrogate, sample: Sample, energy_weight: float) -> torch.Tensor:
    return sample.loss(*toy.evaluate(sample.prepared), energy_weight)


def test_loss_is_the_mean_length_of_the_errors_of_free_atoms() -> None:
    toy, frame = ToySurrogate(), emt_frame(0)
    free = [i for i, tag in enumerate(frame.atoms.get_tags()) if tag != 3]
    errors = toy.predict(frame.atoms).forces - frame.label.forces
    expected = np.mean([np.sqrt(np.sum(errors[i] ** 2)) for i in free])
    assert loss(toy, Sample.from_frame(toy, frame, SAME), 0.0).item() == pytest.approx(expected)


def test_fixed_components_do_not_count() -> None:
    toy, frame = ToySurrogate(), emt_frame(0)
    frame.atoms.set_constraint(FixCartesian([0, 1], mask=(True, False, True)))
    errors = toy.predict(frame.atoms).forces - frame.label.forces
    lengths = [np.linalg.norm(error) for error in errors]
    lengths[:2] = [abs(errors[0, 1]), abs(errors[1, 1])]
    assert loss(toy, Sample.from_frame(toy, frame, SAME), 0.0).item() == pytest.approx(
        np.mean(lengths)
    )


def test_energy_counts_per_atom_and_from_the_reference() -> None:
    toy, frame = ToySurrogate(), emt_frame(0)
    energy = toy.predict(frame.atoms).energy
    sample = Sample.from_frame(toy, frame, EnergyReference(frame.label.energy, energy + 1.3))
    extra = loss(toy, sample, 2.0) - loss(toy, sample, 0.0)
    assert extra.item() == pytest.approx(2.0 * 1.3 / len(frame.atoms))


def test_slope_of_the_loss_is_that_of_its_differences() -> None:
    toy = ToySurrogate()
    sample = Sample.from_frame(toy, emt_frame(0), SAME)
    weight = dict(toy.named_parameters())["head.weight"].requires_grad_(True)
    (slope,) = torch.autograd.grad(loss(toy, sample, 1.0), weight)
    step = 1e-5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[7] += sign * step
        values.append(loss(toy, sample, 1.0).item())
        with torch.no_grad():
            weight[7] -= sign * step
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope[7].item(), rel=1e-5)


def test_rmse_is_over_the_free_components_of_all_frames() -> None:
    toy, frames = ToySurrogate(), emt_frames(3)
    errors = [
        error
        for frame in frames
        for error in (toy.predict(frame.atoms).forces - frame.label.forces)[
            free_components(frame.atoms)
        ]
    ]
    assert force_rmse(toy, frames) == pytest.approx(np.std(errors, mean=0.0))
