"""Derivatives of what a network makes of a structure by the positions of its atoms."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from finetuna_flows.geometry import Mask
from finetuna_flows.records import Features


def slopes(
    values: Tensor, coordinates: Tensor, free: Mask, to_cartesian: Tensor | None = None
) -> Tensor:
    """Derivatives of q values by the d free components in 1/Å, shape (d, q).

    One pass backwards a value gives a row of the transpose. Where components are fewer than
    values: what a pass backwards makes of a probe (q,) is linear in it, so its own derivative by
    the probe is a whole row, and one more pass backwards gives it. All rows in one batch of
    passes are slower on a CPU.

    Parameters
    ----------
    values
        Shape (q,), differentiable in the coordinates, twice where ``q > d``.
    coordinates
        Of the atoms, shape (n, 3).
    free
        Shape (n, 3).
    to_cartesian
        What turns derivatives by the coordinates into those by positions, shape (3, 3); None
        where the coordinates are positions in Å.
    """
    places = torch.as_tensor(free, device=values.device)
    d = int(free.sum())
    if len(values) <= d:
        pulls = (torch.autograd.grad(v, coordinates, retain_graph=True)[0] for v in values)
        return torch.stack([_turned(pull, to_cartesian)[places] for pull in pulls], dim=1)
    probe = torch.zeros_like(values, requires_grad=True)
    (pull,) = torch.autograd.grad(values, coordinates, probe, create_graph=True)
    rows = values.new_empty((d, len(values)))
    for row, component in zip(rows, _turned(pull, to_cartesian)[places], strict=True):
        row.copy_(torch.autograd.grad(component, probe, retain_graph=True)[0])
    return rows.detach()


def to_features(
    values: Tensor, coordinates: Tensor, free: Mask, to_cartesian: Tensor | None = None
) -> Features:
    """Values, shape (q,), with their `slopes`, which takes the same arguments."""
    everywhere = np.zeros((len(values), *free.shape))
    found = slopes(values, coordinates, free, to_cartesian)
    everywhere[:, free] = found.T.double().cpu().numpy()
    return Features(values.detach().double().cpu().numpy(), everywhere)


def _turned(pull: Tensor, to_cartesian: Tensor | None) -> Tensor:
    return pull if to_cartesian is None else pull @ to_cartesian
