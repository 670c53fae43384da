"""What a parent has computed is on its disk before it is sent, and is not computed twice."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from finetuna_flows.colocation import ipi
from finetuna_flows.colocation.client import Client
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.kept_labels import NAME, KeptLabels
from finetuna_flows.colocation.report import ServiceReport
from finetuna_flows.colocation.structure import decode_structure, encode_structure
from finetuna_flows.errors import CheckpointError, PeerError
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import ParentCalculator
from finetuna_flows.records import Label
from tests.contracts.parent import shaken
from tests.fakes import ase_engines

LABEL = Label(-1.0, np.ones((9, 3)), free_energy=-1.5, scf_cycles=17)


def counting(folder: Path) -> ParentCalculator:
    return AseParentSpec(f"{ase_engines.__file__}:Counting", {"file": str(folder / "a")}).build()


def computed(folder: Path) -> int:
    return len((folder / "a").read_text().split())


def introduction(atoms: Atoms) -> bytes:
    said = ipi.ours(structure=encode_structure(atoms), cell=atoms.cell.tolist())
    return ipi.word(ipi.INIT) + ipi.integer(0) + ipi.text(said)


def question(atoms: Atoms) -> bytes:
    return ipi.word(ipi.POSDATA) + ipi.geometry(atoms.cell.array, atoms.positions)


def serve(folder: Path, *said: bytes) -> ServiceReport:
    """Serve a learner that says all this without listening, and then is lost."""
    near, far = socket.socketpair()
    with Connection(near, "the learner") as connection, far:
        far.sendall(b"".join(said))
        far.shutdown(socket.SHUT_WR)
        client = Client(connection, counting(folder), folder, "", idle=5.0)
        with client.entered, contextlib.suppress(PeerError):
            client.serve()
        client.finish()
    return client.report


def test_a_label_is_on_disk_before_anybody_asks_for_it(atoms: Atoms, tmp_path: Path) -> None:
    report = serve(tmp_path, introduction(atoms), question(atoms))
    assert (report.calls, computed(tmp_path)) == (0, 1)
    of, kept = map(json.loads, (tmp_path / NAME).read_text().splitlines())
    assert of["body"]["level"] == counting(tmp_path).level
    assert np.shape(kept["body"]["label"]["forces"]) == (9, 3)


def test_a_label_that_was_never_delivered_is_recalled(atoms: Atoms, tmp_path: Path) -> None:
    serve(tmp_path, introduction(atoms), question(atoms))
    report = serve(tmp_path, introduction(atoms), question(atoms), ipi.word(ipi.GETFORCE))
    assert (report.calls, report.recalled, computed(tmp_path)) == (1, 1, 1)


def test_a_geometry_that_is_asked_again_at_once_costs_nothing(atoms: Atoms, tmp_path: Path) -> None:
    ask = question(atoms) + ipi.word(ipi.GETFORCE)
    other = question(shaken(atoms, seed=1)) + ipi.word(ipi.GETFORCE)
    report = serve(tmp_path, introduction(atoms), ask, ask, other, ask)
    assert (report.calls, report.recalled, computed(tmp_path)) == (4, 2, 2)
    assert len((tmp_path / NAME).read_text().splitlines()) == 3  # of the structure, and two labels


def test_a_label_that_is_asked_for_again_has_no_more_scf_cycles(
    atoms: Atoms, tmp_path: Path
) -> None:
    with closing(KeptLabels(tmp_path, "level", atoms)) as kept:
        kept.keep(atoms, LABEL)
        again = kept.find(atoms)
    assert again is not None
    assert (again.energy, again.scf_cycles) == (LABEL.energy, 0)
    with closing(KeptLabels(tmp_path, "level", atoms)) as later:
        recalled = later.find(atoms)
    assert recalled is not None
    assert recalled.scf_cycles == LABEL.scf_cycles


def test_another_geometry_is_computed(atoms: Atoms, tmp_path: Path) -> None:
    serve(tmp_path, introduction(atoms), question(atoms))
    report = serve(tmp_path, introduction(atoms), question(shaken(atoms, seed=1)))
    assert (report.recalled, computed(tmp_path)) == (0, 2)


def test_a_recalled_label_is_the_same_to_the_last_bit(atoms: Atoms, tmp_path: Path) -> None:
    kept = KeptLabels(tmp_path, "level", atoms)
    label = Label(0.1 + 0.2, np.random.default_rng(0).normal(size=(9, 3)))
    kept.keep(atoms, label)
    kept.close()
    again = KeptLabels(tmp_path, "level", atoms)
    found = again.find(atoms)
    again.close()
    assert found is not None
    assert found.energy == label.energy
    assert (found.forces == label.forces).all()


@pytest.mark.parametrize("way", [1e-12, -1e-12])
def test_rounding_makes_no_other_geometry(atoms: Atoms, tmp_path: Path, way: float) -> None:
    with closing(KeptLabels(tmp_path, "level", atoms)) as earlier:
        earlier.keep(atoms, LABEL)
        assert earlier.find(atoms) is not None  # line searches ask again
    kept = KeptLabels(tmp_path, "level", atoms)
    moved = atoms.copy()
    moved.positions += way
    assert kept.find(moved) is not None
    moved.positions[0, 0] += 1e-6
    assert kept.find(moved) is None
    kept.close()


def test_another_cell_is_another_geometry(atoms: Atoms, tmp_path: Path) -> None:
    kept = KeptLabels(tmp_path, "level", atoms)
    kept.keep(atoms, LABEL)
    wider = atoms.copy()
    wider.cell[2, 2] += 0.1
    assert kept.find(wider) is None
    kept.close()


def test_the_record_of_another_level_is_set_aside(atoms: Atoms, tmp_path: Path) -> None:
    for level in ("one", "two", "three"):
        kept = KeptLabels(tmp_path, level, atoms)
        assert kept.find(atoms) is None
        kept.keep(atoms, LABEL)
        kept.close()
    assert {each.name for each in tmp_path.iterdir()} == {NAME, f"{NAME}.1", f"{NAME}.2"}


@pytest.mark.parametrize("change", ["order", "tags", "magnetic moments", "pbc"])
def test_the_record_of_another_structure_is_set_aside(
    atoms: Atoms, tmp_path: Path, change: str
) -> None:
    first = KeptLabels(tmp_path, "level", atoms)
    first.keep(atoms, LABEL)
    first.close()
    other = atoms[::-1] if change == "order" else atoms.copy()
    if change == "tags":
        other.set_tags(range(9))
    elif change == "magnetic moments":
        other.set_initial_magnetic_moments(np.ones(9))
    elif change == "pbc":
        other.pbc = False
    kept = KeptLabels(tmp_path, "level", other)
    assert kept.find(atoms) is None
    kept.close()
    assert (tmp_path / f"{NAME}.1").exists()


def test_a_record_that_was_torn_is_dropped(atoms: Atoms, tmp_path: Path) -> None:
    kept = KeptLabels(tmp_path, "level", atoms)
    kept.keep(atoms, LABEL)
    kept.keep(shaken(atoms, seed=1), LABEL)
    kept.close()
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole[:-10])
    again = KeptLabels(tmp_path, "level", atoms)
    assert again.find(atoms) is not None
    assert again.find(shaken(atoms, seed=1)) is None
    again.close()


def test_a_disk_that_refuses_is_named(atoms: Atoms, tmp_path: Path) -> None:
    kept = KeptLabels(tmp_path, "level", atoms)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (tmp_path / NAME).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=f"{NAME} cannot be written: "):
            kept.keep(atoms, LABEL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        kept.close()
    assert (tmp_path / NAME).stat().st_size == size
    assert kept.find(atoms) is None


def test_a_structure_comes_back_without_its_place(atoms: Atoms) -> None:
    atoms.set_initial_magnetic_moments(np.linspace(0, 1, 9))
    atoms.info |= {"charge": 1, "name": "slab", "model": object()}
    back = decode_structure(json.loads(json.dumps(encode_structure(atoms))))
    back.set_cell(atoms.cell)
    back.positions = atoms.positions
    assert back == atoms
    assert (back.get_tags() == atoms.get_tags()).all()
    assert (back.get_initial_magnetic_moments() == atoms.get_initial_magnetic_moments()).all()
    assert back.info == {"charge": 1, "name": "slab"}
    assert back.constraints == []
