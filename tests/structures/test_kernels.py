"""What is built is the same to the last bit with every kernel of linear algebra."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "made_here.py"
CHOICE = "OPENBLAS_CORETYPE"


@cache
def made_with(kernel: str | None, *words: str) -> tuple[list[str], dict[str, str]]:
    """Kernels that were loaded, and what was made with them."""
    environment = {key: value for key, value in os.environ.items() if key != CHOICE}
    if kernel is not None:
        environment[CHOICE] = kernel
    run = subprocess.run(
        [sys.executable, SCRIPT, *words], env=environment, capture_output=True, text=True
    )
    if run.returncode < 0:
        pytest.skip(f"this processor cannot run the kernels of {kernel}: {run.returncode}")
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    return told["kernels"], told["made"]


def compare(kernel: str, *words: str) -> None:
    own, expected = made_with(None, *words)
    loaded, found = made_with(kernel, *words)
    if loaded == own:
        pytest.skip(f"{kernel} asked for, {', '.join(own)} loaded, as without asking")
    differing = [name for name in expected if found.get(name) != expected[name]]
    assert not differing
    assert len(found) == len(expected) > 50


@pytest.mark.parametrize("kernel", ["Haswell", "Nehalem"])
def test_same_bytes_with_other_kernels(kernel: str) -> None:
    compare(kernel)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["Haswell", "Nehalem", "SkylakeX", "Zen"])
def test_same_bytes_of_many_surfaces_with_other_kernels(kernel: str) -> None:
    compare(kernel, "--all")
