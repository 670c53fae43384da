"""The stand-in for VASP: its physics, and its files as others read them."""

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator
from emmet.core.tasks import TaskDoc
from pymatgen.io.vasp import Chgcar, Oszicar, Outcar, Vasprun

from tests.fakes.vasp_runs import (
    INTERACTIVE,
    count_cycles,
    expected,
    fractional,
    prepare,
    rows,
    run,
    shaken,
)
from tests.systems import oxygen_on_copper

INCARS = {
    "static": "NSW = 0\nLORBIT = 11\nISPIN = 2\n",
    "cg": "IBRION = 2\nNSW = 100\nEDIFFG = -0.02\nEDIFF = 1E-5\n",
    "interactive": INTERACTIVE,
}
SENTENCE = "stand-in for VASP of finetuna_flows: energies are those of EMT, not of DFT"


def end_of(directory: Path) -> Atoms:
    """What CONTCAR holds."""
    atoms = ase.io.read(directory / "CONTCAR")
    assert isinstance(atoms, Atoms)
    return atoms


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A directory of each mode, finished, with stdout in ``vasp.out``."""
    directories = {}
    for mode, incar in INCARS.items():
        directory = prepare(tmp_path_factory.mktemp(mode), oxygen_on_copper(), incar)
        given = "".join(rows(fractional(shaken(index))) for index in range(3))
        ended = run(directory, given if mode == "interactive" else "")
        assert (ended.status, ended.err) == (0, "")
        (directory / "vasp.out").write_text(ended.out)
        directories[mode] = directory
    return directories


@pytest.mark.parametrize("mode", INCARS)
def test_parsers_agree_in_all_modes(finished: dict[str, Path], mode: str) -> None:
    directory = finished[mode]
    vasprun = Vasprun(directory / "vasprun.xml", parse_potcar_file=False)
    counts = [len(step["electronic_steps"]) for step in vasprun.ionic_steps]
    assert vasprun.converged
    assert counts == count_cycles((directory / "vasp.out").read_text())
    assert len(counts) == {"static": 1, "interactive": 4}.get(mode, len(counts))
    outcar = Outcar(directory / "OUTCAR")
    oszicar = Oszicar(directory / "OSZICAR")
    assert [len(steps) for steps in oszicar.electronic_steps] == counts
    assert oszicar.ionic_steps[-1]["F"] == pytest.approx(outcar.final_fr_energy, abs=1e-5)
    frames = ase.io.read(directory / "OUTCAR", index=":")
    for frame, step in zip(frames, vasprun.ionic_steps, strict=True):
        energy, forces = expected(frame)
        # OUTCAR's positions have 5 decimals, forces change by 10 eV/Å² and less
        assert step["e_0_energy"] == pytest.approx(energy, abs=1e-4)
        assert np.asarray(step["forces"]) == pytest.approx(forces, abs=1e-3)
        assert frame.get_forces(apply_constraint=False) == pytest.approx(forces, abs=1e-3)
        assert frame.get_potential_energy() == pytest.approx(step["e_0_energy"], abs=1e-7)
        assert step["e_fr_energy"] == pytest.approx(step["e_0_energy"] - 9e-3, abs=1e-7)
    assert outcar.final_energy == pytest.approx(vasprun.final_energy, abs=1e-7)
    assert float(outcar.run_stats["Total CPU time used (sec)"] or 0) > 0


@pytest.mark.parametrize("mode", INCARS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # pymatgen's, for want of POTCAR
def test_task_document_and_validators_accept_all_modes(
    finished: dict[str, Path], mode: str
) -> None:
    directory = finished[mode]
    document = TaskDoc.from_directory(directory)
    energy, _ = expected(end_of(directory))
    assert document.output is not None
    assert document.output.energy == pytest.approx(energy, abs=1e-7)
    assert document.state == "successful"
    assert VasprunXMLValidator().check(str(directory)) is False
    # custodian leaves this one untyped
    assert VaspFilesValidator().check(str(directory)) is False  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("mode", INCARS)
def test_every_file_says_what_it_is(finished: dict[str, Path], mode: str) -> None:
    names = (
        "OUTCAR",
        "vasprun.xml",
        "OSZICAR",
        "CONTCAR",
        "XDATCAR",
        "WAVECAR",
        "CHGCAR",
        "vasp.out",
    )
    assert [name for name in names if SENTENCE not in (finished[mode] / name).read_text()] == []


def test_charge_density_holds_the_electrons(finished: dict[str, Path]) -> None:
    outcar = Outcar(finished["static"] / "OUTCAR")
    density = Chgcar.from_file(str(finished["static"] / "CHGCAR")).data["total"]
    assert density.mean() == pytest.approx(outcar.nelect)
    assert (outcar.total_mag, outcar.spin) == (0.5, True)
    assert sum(float(atom["tot"]) for atom in outcar.magnetization) == pytest.approx(0.5, abs=0.01)


def test_plain_run_prints_no_forces(finished: dict[str, Path]) -> None:
    out = (finished["static"] / "vasp.out").read_text()
    assert "FORCES" not in out
    assert re.search(
        r"^   1 F= -\.\d{8}E\+02 E0= -\.\d{8}E\+02  d E =-\.\d{6}E-01  mag=     0.5000$",
        out,
        re.MULTILINE,
    )
    assert out.endswith(" writing wavefunctions\n")


def test_conjugate_gradients_end_where_ase_ends(finished: dict[str, Path]) -> None:
    atoms = oxygen_on_copper()
    atoms.calc = EMT()
    BFGS(atoms, logfile=None).run(fmax=0.02)
    end = end_of(finished["cg"])
    energy, forces = expected(end)
    assert energy == pytest.approx(atoms.get_potential_energy() - 90, abs=2e-3)  # both at 0.02 eV/Å
    assert np.linalg.norm(forces[4:], axis=1).max() < 0.02
    assert end.positions[:4] == pytest.approx(atoms.positions[:4], abs=1e-9)
    out = (finished["cg"] / "vasp.out").read_text()
    assert out.count(" trial-energy change:") in {
        out.count(" trial: gam="),
        out.count(" trial: gam=") - 1,
    }
    assert " reached required accuracy - stopping structural energy minimisation\n" in out


def test_energies_along_the_cycles_converge(finished: dict[str, Path]) -> None:
    oszicar = Oszicar(finished["interactive"] / "OSZICAR")
    for cycles, step in zip(oszicar.electronic_steps, oszicar.ionic_steps, strict=True):
        assert cycles[-1]["E"] == pytest.approx(step["F"], abs=1e-6)
        assert abs(float(cycles[-1]["dE"])) < 1e-4 <= abs(float(cycles[-2]["dE"]))
        assert np.diff([cycle["E"] for cycle in cycles]) == pytest.approx(
            [cycle["dE"] for cycle in cycles[1:]], rel=1e-3
        )


def test_relaxation_without_end_does_nsw_steps(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), "IBRION = 2\nNSW = 4\nEDIFFG = 0\n")
    assert len(count_cycles(run(tmp_path).out)) == 4


@pytest.mark.parametrize("scale", [1.0, 2.0, -1.0])
def test_poscar_in_all_its_forms(tmp_path: Path, scale: float) -> None:
    atoms = oxygen_on_copper()
    factor = scale if scale > 0 else 1.3
    lines = ["slab", f"{scale if scale > 0 else -atoms.get_volume()}"]
    lines += [" ".join(map(str, vector / factor)) for vector in atoms.cell]
    lines += ["Cu O", "8 1", "Selective", "Cartesian"]
    lines += [" ".join(map(str, place / factor)) + " T T F" for place in atoms.positions]
    prepare(tmp_path, atoms, "nsw=2; ibrion = 2 ! two steps\nEDIFFG = 0 # no end; NSW = 7\n")
    (tmp_path / "POSCAR").write_text("\n".join(lines) + "\n")
    (tmp_path / "KPOINTS").unlink()
    assert run(tmp_path).status == 0
    vasprun = Vasprun(tmp_path / "vasprun.xml", parse_potcar_file=False)
    energy, forces = expected(atoms)
    assert vasprun.ionic_steps[0]["e_0_energy"] == pytest.approx(energy, abs=1e-6)
    assert np.asarray(vasprun.ionic_steps[0]["forces"]) == pytest.approx(forces, abs=1e-6)
    moved = vasprun.final_structure.cart_coords - atoms.positions
    assert moved[:, 2] == pytest.approx(0, abs=1e-6)
    assert np.abs(moved[:, :2]).max() > 0.01


@pytest.mark.parametrize(
    ("incar", "words"),
    [
        ("NSW = many\n", "NSW in INCAR is 'many' but must be a number"),
        ("NSW = 5\nIBRION = 0\n", "IBRION in INCAR is 0 but the stand-in does"),
    ],
)
def test_incar_refuses(tmp_path: Path, incar: str, words: str) -> None:
    ended = run(prepare(tmp_path, oxygen_on_copper(), incar))
    assert ended.status == 1
    assert words in ended.err


def test_version_5_misplaces_e0(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), INCARS["static"])
    run(tmp_path, version="5.4.4.18Apr17-6-g9f103f2a35")
    vasprun = Vasprun(tmp_path / "vasprun.xml", parse_potcar_file=False)
    assert vasprun.ionic_steps[-1]["e_0_energy"] == pytest.approx(-9e-3)
    assert vasprun.final_energy == pytest.approx(expected(oxygen_on_copper())[0], abs=1e-7)


def test_warm_start_saves_cycles(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), "NSW = 0\n")
    (cold,) = count_cycles(run(tmp_path).out)
    assert 12 <= cold <= 16
    kept = (tmp_path / "WAVECAR").read_bytes()
    counts = []
    for size in (0.0, 0.001, 0.01, 0.1):
        prepare(tmp_path, shaken(0, size), "NSW = 0\nLWAVE = .FALSE.\n")
        counts += count_cycles(run(tmp_path).out)
    assert counts[0] == 3
    assert sorted(set(counts)) == counts
    assert counts[-1] < cold
    (tmp_path / "WAVECAR").write_bytes(kept[:-20])
    ended = run(tmp_path)
    assert " WAVECAR not read\n" in ended.out
    assert count_cycles(ended.out)[0] >= cold
    (tmp_path / "WAVECAR").write_bytes(kept)
    prepare(tmp_path, oxygen_on_copper(), "NSW = 0\nISTART = 0\n")
    assert count_cycles(run(tmp_path).out) == [cold]


def test_other_calculators(tmp_path: Path) -> None:
    prepare(tmp_path, oxygen_on_copper(), "NSW = 0\n")
    (tmp_path / "mine.py").write_text(
        "from ase.calculators.morse import MorsePotential\n"
        "def make():\n    return MorsePotential(epsilon=0.2, r0=2.5, rho0=3.5)\n"
    )
    energies = {}
    for name in ("mine.py:make", "ase.calculators.morse:MorsePotential"):
        assert run(tmp_path, calculator=name).status == 0
        energies[name] = Outcar(tmp_path / "OUTCAR").final_energy
        assert f"energies are those of {name}, not of DFT" in (tmp_path / "OUTCAR").read_text()
    assert len(set(energies.values())) == 2
