"""Criteria as they are written on the command line."""

from __future__ import annotations

import re

import pytest

from finetuna_flows.protocols import QueryCriterion
from finetuna_flows.queries import (
    AnyOf,
    Displacement,
    DynamicTolerance,
    EveryK,
    FirstN,
    RelaxedOnly,
    StaticTolerance,
    parse_criterion,
)


@pytest.mark.parametrize(
    ("text", "criterion"),
    [
        ("first:2", FirstN(2)),
        ("relaxed:0.03", RelaxedOnly(0.03)),
        ("every:10", EveryK(10)),
        ("static:0.05", StaticTolerance(0.05)),
        ("dynamic:0.3", DynamicTolerance(0.3)),
        ("displacement:0.5", Displacement(0.5)),
        ("first:1, relaxed:0.03", AnyOf((FirstN(1), RelaxedOnly(0.03)))),
        ("first", FirstN()),
        ("relaxed", RelaxedOnly()),
        ("static", StaticTolerance()),
        ("dynamic", DynamicTolerance()),
        ("displacement,every:50", AnyOf((Displacement(), EveryK(50)))),
    ],
)
def test_a_word_becomes_a_criterion(text: str, criterion: QueryCriterion) -> None:
    assert parse_criterion(text) == criterion


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("random:0.5", "'random:0.5' but must be NAME:NUMBER with a name of first, relaxed, every"),
        ("every", "'every' but must be NAME:NUMBER"),
        ("static:", "'static:' is refused: could not convert"),
        ("", "'' but must be NAME:NUMBER"),
        ("first:1,", "'' but must be NAME:NUMBER"),
        ("first:one", "'first:one' is refused: invalid literal"),
        ("every:0", "'every:0' is refused: `k` is 0 but must be at least 1"),
    ],
)
def test_parse_criterion_refuses(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_criterion(text)
