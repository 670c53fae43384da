"""The scripts that users copy run as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from finetuna_flows.structures.read import read_structure

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"


@pytest.mark.parametrize(
    "script",
    [
        "01_relax_one.py",
        "02_compare_methods.py",
        pytest.param("04_adapt_a_surrogate.py", marks=pytest.mark.slow),
    ],
)
def test_a_script_runs(script: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, WORKFLOWS / script],
        cwd=tmp_path,
        env=os.environ | {"FINETUNA_FLOWS_STORE_PATH": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "calls" in done.stdout
    assert "None calls" not in done.stdout


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
def test_the_committed_structures_are_what_the_builder_makes(tmp_path: Path) -> None:
    copy = tmp_path / "build.py"
    copy.write_text((WORKFLOWS / "structures" / "build.py").read_text())
    subprocess.run([sys.executable, copy], check=True)
    for name in ("O_on_Al111.extxyz", "O_on_Cu111.extxyz"):
        committed = read_structure(WORKFLOWS / "structures" / name)
        built = read_structure(tmp_path / name)
        assert committed.symbols.get_chemical_formula() == built.symbols.get_chemical_formula()
        np.testing.assert_allclose(committed.positions, built.positions, atol=1e-6)
        np.testing.assert_array_equal(committed.get_tags(), built.get_tags())
        assert committed.constraints[0].todict() == built.constraints[0].todict()
