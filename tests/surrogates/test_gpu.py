"""CHGNet on a GPU says what it says on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from finetuna_flows.surrogates.chgnet import CHGNetSurrogate
from finetuna_flows.surrogates.device import cuda_devices
from tests.systems import oxygen_on_copper

SCRIPT = """
import json
from finetuna_flows.surrogates.chgnet import CHGNetSurrogate
from tests.systems import oxygen_on_copper
prediction = CHGNetSurrogate().predict(oxygen_on_copper())
print(json.dumps([prediction.energy, prediction.forces.tolist()]))
"""


@pytest.mark.gpu
def test_chgnet_agrees_with_the_cpu() -> None:
    if not cuda_devices():
        pytest.skip("torch finds no CUDA device")

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"FINETUNA_FLOWS_DEVICE": "cuda"},
        capture_output=True,
        text=True,
        check=True,
    )
    energy, forces = json.loads(done.stdout.splitlines()[-1])
    here = CHGNetSurrogate().predict(oxygen_on_copper())
    assert energy == pytest.approx(here.energy, abs=1e-3)  # single precision
    np.testing.assert_allclose(forces, here.forces, atol=1e-3)
