"""Layer norms and concatenations whose backward pass is quick to differentiate by what enters it.

A pass backwards is linear in what enters it. torch differentiates the pass of a layer norm by a
dozen sums and products, and that of a concatenation by padding each part with zeros; but both
are simple: the pass of the norm is a symmetric map between two scalings, so its derivative is the
same map with the scalings exchanged, and that of a concatenation is a concatenation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import layer_norm
from torch.overrides import TorchFunctionMode


class LinearPull(TorchFunctionMode):
    """While entered, what torch records can be passed backwards twice, but weights stay out.

    Derivatives by weights, and second derivatives by the positions, would lack terms: for the
    derivative of the pass by what enters it alone.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Put ours in the place of two of torch's functions."""
        given = dict(kwargs or {})
        if func is layer_norm:
            return _norm(*args, **given)
        if func is torch.cat:
            return _cat(*args, **given)
        return func(*args, **given)


def _norm(x: Tensor, shape: Sequence[int], weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    normed: Tensor = _apply(_Norm, x, list(shape), weight.detach(), bias.detach(), eps)
    return normed


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    joined: Tensor = _apply(_Cat, dim, *tensors)
    return joined


def _apply(function: type[Function], *given: object) -> Any:
    return function.apply(*given)  # type: ignore[no-untyped-call]  # torch states no types


class _Norm(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shape: list[int], weight: Tensor, bias: Tensor, eps: float
    ) -> Tensor:
        normed, mean, spread = torch.native_layer_norm(x, shape, weight, bias, eps)
        ctx.shape = shape
        ctx.save_for_backward(x, mean, spread, weight)
        return normed

    @staticmethod
    def backward(ctx: Any, *pulls: Tensor) -> tuple[Tensor | None, ...]:
        return _apply(_NormPull, pulls[0], ctx.shape, *ctx.saved_tensors), None, None, None, None


class _NormPull(Function):
    @staticmethod
    def forward(
        ctx: Any, pull: Tensor, shape: list[int], x: Tensor, mean: Tensor, spread: Tensor, w: Tensor
    ) -> Tensor:
        ctx.shape = shape
        ctx.save_for_backward(x.detach(), mean, spread, w)
        return _project(pull, x, shape, mean, spread, w)

    @staticmethod
    def backward(ctx: Any, *ways: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, spread, w = ctx.saved_tensors
        pull = w * _project(ways[0], x, ctx.shape, mean, spread, torch.ones_like(w))
        return pull, None, None, None, None, None


def _project(
    pull: Tensor, x: Tensor, shape: list[int], mean: Tensor, spread: Tensor, weight: Tensor
) -> Tensor:
    projected: Tensor
    projected, _, _ = torch.ops.aten.native_layer_norm_backward(
        pull, x, shape, mean, spread, weight, None, [True, False, False]
    )
    return projected


class _Cat(Function):
    @staticmethod
    def forward(ctx: Any, dim: int, *tensors: Tensor) -> Tensor:
        ctx.dim, ctx.sizes = dim, [tensor.shape[dim] for tensor in tensors]
        return torch.cat(tensors, dim)

    @staticmethod
    def backward(ctx: Any, *pulls: Tensor) -> tuple[Tensor | None, ...]:
        return None, *_apply(_Split, pulls[0], ctx.sizes, ctx.dim)


class _Split(Function):
    @staticmethod
    def forward(ctx: Any, pull: Tensor, sizes: list[int], dim: int) -> tuple[Tensor, ...]:
        ctx.dim = dim
        return tuple(part.clone() for part in torch.split(pull, sizes, dim))

    @staticmethod
    def backward(ctx: Any, *ways: Tensor) -> tuple[Tensor | None, ...]:
        return torch.cat(ways, ctx.dim), None, None
