"""Engines and drivers that speak i-PI and know nothing of this package: ASE's, and bad ones."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ase import Atoms
from ase.calculators.socketio import SocketIOCalculator
from numpy.testing import assert_allclose

from finetuna_flows.colocation.address import UnixAddress
from finetuna_flows.colocation.client import Client
from finetuna_flows.colocation.connection import Connection
from finetuna_flows.colocation.patience import Patience
from finetuna_flows.colocation.placement import Placement
from finetuna_flows.colocation.specs import IpiParentSpec, place
from finetuna_flows.errors import PeerError
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.protocols import ParentCalculator
from finetuna_flows.records import Label
from tests.contracts.parent import ParentContract
from tests.fakes import ipi_engine
from tests.relaxation.parts import online

pytestmark = pytest.mark.usefixtures("here")

ENGINE = Path(ipi_engine.__file__)
ASE_ENGINE = ENGINE.with_name("ipi_ase_engine.py")
ROUNDING = 1e-9  # eV and eV/Å; of units and back, on tens of eV


def by_ase() -> IpiParentSpec:
    command = f"{sys.executable} {ASE_ENGINE} {{name}}"
    return IpiParentSpec(command, f"{ASE_ENGINE}:Written", patience=Patience(meet=30.0, label=30.0))


def emt(atoms: Atoms) -> Label:
    with AseParentSpec().build() as parent:
        return parent.label(atoms)


@pytest.mark.slow
class TestASEsClient(ParentContract):
    """What every parent keeps to, by EMT behind ASE's own client."""

    keeps = frozenset({"engine"})

    @classmethod
    def build(cls) -> ParentCalculator:
        return by_ase().build()


def test_a_relaxation_by_ases_client_ends_where_emt_ends(atoms: Atoms, tmp_path: Path) -> None:
    (tmp_path / "direct").mkdir()
    direct = online(atoms, tmp_path / "direct")
    relaxed = online(atoms, tmp_path, parent=place(by_ase(), Placement()))
    assert relaxed.converged
    assert relaxed.parent_calls == direct.parent_calls
    assert_allclose(relaxed.final.positions, direct.final.positions, atol=1e-6)
    assert [each.name for each in (tmp_path / "engine").iterdir()] == ["0000"]
    assert "by i-PI" in relaxed.level


def test_ases_server_gets_emts_numbers_from_our_client(atoms: Atoms, tmp_path: Path) -> None:
    name = uuid4().hex
    ended: list[PeerError] = []

    def serve() -> None:
        connected = UnixAddress(f"/tmp/ipi_{name}").connect(10.0)
        with Connection(connected, "ASE's server") as connection:
            parent = AseParentSpec().build()
            client = Client(connection, parent, tmp_path, "", idle=10.0, atoms=atoms.copy())
            try:
                with client.entered:
                    client.serve()
            except PeerError as left:  # it never says EXIT
                ended.append(left)
            client.finish()

    free: Any = atoms.copy()
    free.set_constraint()
    with SocketIOCalculator(unixsocket=name, timeout=10.0) as calculator:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        free.calc = calculator
        for _ in range(3):
            free.rattle(0.02, seed=1)
            label = emt(free)
            assert free.get_potential_energy() == pytest.approx(label.energy, abs=ROUNDING)
            assert_allclose(free.get_forces(), label.forces, atol=ROUNDING)
        free.set_cell(free.cell * 1.01, scale_atoms=True)
        assert free.get_potential_energy() == pytest.approx(emt(free).energy, abs=ROUNDING)
    thread.join(10.0)
    assert not thread.is_alive()
    assert "ASE's server closed the connection" in str(ended)
