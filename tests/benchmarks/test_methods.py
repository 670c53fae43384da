"""The benchmark of methods tells what is done as it goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.methods import System, relaxations
from finetuna_flows.cli.words import Words
from finetuna_flows.parents.specs import AseParentSpec
from tests.systems import EMT, oxygen_on_copper


def test_each_relaxation_is_told_when_it_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system = System("O/Cu", oxygen_on_copper(), AseParentSpec(EMT))
    going = relaxations(system, Words(parent="emt"), ["GPMin", "BFGS"], tmp_path)
    for expected in ("GPMin", "BFGS"):
        name, doc = next(going)
        assert name == expected
        assert capsys.readouterr().err == f"O/Cu {name}: {doc.parent_calls} calls\n"
