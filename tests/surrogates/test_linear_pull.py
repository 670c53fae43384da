"""Passes backwards that are quick to differentiate: the derivatives are torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from finetuna_flows.surrogates.linear_pull import LinearPull


class Model(nn.Module):
    """Norms and concatenations, of both halves and along both directions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.LayerNorm(6)
        self.mix = nn.Linear(12, 6)
        with torch.no_grad():
            self.norm.weight.uniform_(0.5, 2.0)
            self.norm.bias.uniform_(-1.0, 1.0)
        self.double().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        once = torch.tanh(self.mix(torch.cat([x, self.norm(x**2)], dim=1)))
        twice: Tensor = self.norm(self.mix(torch.cat([once, x.sin()], dim=-1)))
        return torch.cat([twice, twice[:2] * x[0]])


@pytest.fixture
def x() -> Tensor:
    return torch.randn(
        5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    ).requires_grad_()


def columns(values: Tensor, x: Tensor) -> Tensor:
    """Derivatives of all values by each coordinate, by a pass backwards through one."""
    probe = torch.zeros_like(values, requires_grad=True)
    (pull,) = torch.autograd.grad(values, x, probe, create_graph=True)
    rows = [torch.autograd.grad(p, probe, retain_graph=True)[0] for p in pull.flatten()]
    return torch.stack(rows)


def test_values_and_derivatives_are_torchs(x: Tensor) -> None:
    model = Model()
    with LinearPull():
        ours = model(x)
    theirs = model(x)
    assert torch.equal(ours, theirs)
    torch.testing.assert_close(columns(ours, x), columns(theirs, x))
    of_ours, of_theirs = (torch.autograd.grad((v**3).sum(), x)[0] for v in (ours, theirs))
    torch.testing.assert_close(of_ours, of_theirs)


def test_differences_say_the_same(x: Tensor) -> None:
    model, step = Model(), 1e-6
    with LinearPull():
        found = columns(model(x), x)
    way = torch.zeros_like(x)
    way[1, 2] = step
    with torch.no_grad():
        slope = (model(x + way) - model(x - way)) / (2 * step)
    torch.testing.assert_close(found[1 * 6 + 2], slope, rtol=1e-5, atol=1e-8)
