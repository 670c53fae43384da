"""The files that a relaxation leaves behind."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from finetuna_flows.reasons import Integrity, StopReason
from finetuna_flows.records import Decision, Label, Relaxation, Step
from finetuna_flows.results.files import CONTCAR, LABELS, RELAXED, write_files
from tests.systems import oxygen_on_copper


@pytest.mark.parametrize("open_z", [False, True])
def test_a_run_that_ends_at_an_earlier_label_leaves_that_one(open_z: bool, tmp_path: Path) -> None:
    start = oxygen_on_copper()
    start.pbc = (True, True, not open_z)
    forces = np.zeros((len(start), 3))
    steps = tuple(
        Step(index, start.positions + 0.1 * index, Decision(), label=Label(energy, forces))
        for index, energy in enumerate((3.2, 3.4))
    )
    relaxation = Relaxation(
        "online", "EMT", start, steps, StopReason.MAX_PARENT_CALLS, 0.03, Integrity.INTACT, 0
    )
    write_files(relaxation, tmp_path)
    relaxed, contcar = ase.io.read(tmp_path / RELAXED), ase.io.read(tmp_path / CONTCAR)
    assert isinstance(relaxed, Atoms)
    assert isinstance(contcar, Atoms)
    assert relaxed.get_potential_energy() == 3.2
    assert len(ase.io.read(tmp_path / LABELS, ":")) == 2
    assert contcar.positions == pytest.approx(start.positions, abs=1e-6)
