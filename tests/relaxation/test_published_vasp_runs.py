"""On relaxations by real VASP that others published."""

from __future__ import annotations

import gzip
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from pymatgen.io.vasp import Vasprun

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import free_components
from finetuna_flows.reasons import StopReason
from finetuna_flows.relaxation.vasp.read import read_vasp_relaxation
from tests.vasp import CAPTURES, captured

GOLD = CAPTURES / "atomate2/tests/test_data/vasp/Au_adsorption"
PYMATGEN = CAPTURES / "pymatgen-test-files/io/vasp"

pytestmark = [
    pytest.mark.shared_data,
    captured,
]


def text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


@pytest.mark.parametrize(
    ("name", "steps"), [("ads_relax_1_3", 26), ("ads_relax_3_3", 27), ("slab_relax", 4)]
)
def test_golds_relaxations_are_read_whole(name: str, steps: int) -> None:
    folder = GOLD / name / "outputs"
    relaxation = read_vasp_relaxation(folder)
    outcar = text(folder / "OUTCAR.gz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen looks for the POTCARs
        vasprun = Vasprun(folder / "vasprun.xml.gz", parse_dos=False, parse_eigen=False)
    assert relaxation.converged
    assert relaxation.method == "VASP CG"
    assert relaxation.parent_calls == steps == len(vasprun.ionic_steps)
    assert relaxation.scf_cycles == outcar.count("Iteration")
    times = re.findall(r"LOOP\+:.*real time +(\S+)", outcar)
    assert [step.parent_time for step in relaxation.steps] == list(map(float, times))
    for ours, theirs in zip(relaxation.steps, vasprun.ionic_steps, strict=True):
        assert ours.energy == pytest.approx(theirs["electronic_steps"][-1]["e_0_energy"], abs=1e-8)
        assert ours.force_energy == pytest.approx(theirs["e_fr_energy"], abs=1e-8)
        np.testing.assert_allclose(ours.forces, theirs["forces"], atol=1e-12)
        way = theirs["structure"].frac_coords - relaxation.start.cell.scaled_positions(
            ours.positions
        )
        np.testing.assert_allclose(way, np.round(way), atol=1e-8)
    assert read_vasp_relaxation(folder / "OUTCAR.gz").level == relaxation.level


def test_oc20s_slab_has_its_constraints_and_vasp_5s_energy() -> None:
    path = CAPTURES / "fairchem/tests/data/oc/tests/old_tests/unittest/27998_vasprun.xml"
    relaxation = read_vasp_relaxation(path)
    assert relaxation.energy == pytest.approx(-140.07469344, abs=1e-8)
    free = free_components(relaxation.start)
    rows = re.findall(r'<v type="logical" > +(T|F) +(T|F) +(T|F)', path.read_text())
    flags = np.array(rows[: len(free)]) == "T"
    assert (free == flags).all()
    assert not free.all()
    assert relaxation.converged  # -0.03 eV/Å, over the free atoms
    assert "RPBE, 350 eV" in relaxation.level


def test_dispersion_is_part_of_the_energy() -> None:
    relaxation = read_vasp_relaxation(PYMATGEN / "outputs/OUTCAR.vasp.6.2.1.mpi.gz")
    assert relaxation.energy == -4.34814342
    assert "IVDW 12" in relaxation.level


def test_a_run_that_was_killed_keeps_its_complete_steps(caplog: pytest.LogCaptureFixture) -> None:
    folder = CAPTURES / "custodian/tests/files/potim"
    relaxation = read_vasp_relaxation(folder)
    assert relaxation.method == "VASP quasi-Newton"
    assert relaxation.parent_calls == 3
    assert relaxation.stop_reason is StopReason.NOT_RECORDED
    lines = (folder / "OUTCAR").read_text(errors="replace").count("\n")
    assert f"cut off at line {lines}, in ionic step 4" in caplog.text


def test_nsw_is_seen_as_the_limit() -> None:
    relaxation = read_vasp_relaxation(PYMATGEN / "outputs/vasprun.ediffg_set_to_0.xml.gz")
    assert relaxation.parent_calls == 3
    assert relaxation.stop_reason is StopReason.MAX_STEPS


def test_an_electronic_structure_that_did_not_converge_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(ParentError, match=r"OUTCAR\.stopped\.gz: no ionic step is self-consistent"):
        read_vasp_relaxation(PYMATGEN / "outputs/OUTCAR.stopped.gz")
    assert "took all 100 electronic iterations of NELM" in caplog.text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (GOLD / "bulk_relax/outputs", "changed the cell"),
        (PYMATGEN / "fixtures/relaxation", "changed the cell"),
        (PYMATGEN / "outputs/vasprun.ml_md.xml.gz", r"IBRION 0 \(molecular dynamics\)"),
        (GOLD / "ads_static_1_3/outputs", r"IBRION -1 \(one geometry\)"),
        (CAPTURES / "vasp-interactive/tests/broken_output/step-0", r"IBRION 11 \(interactive"),
    ],
)
def test_what_is_no_relaxation_at_a_fixed_cell_is_refused(name: Path, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_vasp_relaxation(name)
