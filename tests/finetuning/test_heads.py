"""Patterns of parameters, and weights that rest again after they were trained."""

from __future__ import annotations

import pytest
import torch

from finetuna_flows.finetuning.heads import head_names, only_trainable
from finetuna_flows.surrogates.toy import ToySurrogate

TOY_NAMES = ("backbone.elements", "backbone.radial", "head.bias", "head.weight")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("head.*",), TOY_NAMES[2:]),
        (("*",), TOY_NAMES),
        (("head.bia?", "*radial"), TOY_NAMES[1:3]),
        (("*.weight", "head.*"), TOY_NAMES[2:]),
    ],
)
def test_patterns_match_as_in_file_names(
    patterns: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert head_names(ToySurrogate(), patterns) == expected


@pytest.mark.parametrize("pattern", ["out_blocks.*", "head", "Head.*"])
def test_a_pattern_that_matches_nothing_is_refused(pattern: str) -> None:
    text = (
        rf"`head` holds '{pattern.replace('*', '[*]')}', which matches none of the 4 .*head.weight"
    )
    with pytest.raises(ValueError, match=text):
        head_names(ToySurrogate(), ("head.*", pattern))


def test_no_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="`head` is empty but must name at least 1 parameter"):
        head_names(ToySurrogate(), ())


def test_only_the_named_weights_move_and_all_rest_afterwards() -> None:
    toy = ToySurrogate()
    with only_trainable(toy, ["head.weight"]) as weights:
        moving = {name: weight.requires_grad for name, weight in toy.named_parameters()}
        torch.autograd.backward((weights[0] ** 2).sum())
    assert moving == {name: name == "head.weight" for name in TOY_NAMES}
    for _, weight in toy.named_parameters():
        assert not weight.requires_grad
        assert weight.grad is None


def test_weights_rest_after_an_error_too() -> None:
    toy = ToySurrogate()
    dict(toy.named_parameters())["backbone.radial"].requires_grad_(True)
    with pytest.raises(KeyError), only_trainable(toy, ["head.weight"]):
        raise KeyError
    flags = [weight.requires_grad for _, weight in toy.named_parameters()]
    assert flags == [False, True, False, False]
    assert torch.is_grad_enabled()
