"""Fitted parents: the potential itself, and that fitting gives back what it was fitted to."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.optimize import BFGS

from benchmarks.fit_parents import main
from benchmarks.fitted_parent import FittedParent, FittedParentCalculator, kernel_derivatives
from benchmarks.fitting.fit import fit_parent, relax_on, spread_out
from benchmarks.fitting.frames import labels_of, read_frames
from benchmarks.fitting.gp_part import GPSettings, covariance
from benchmarks.fitting.tables import reference_row
from finetuna_flows.geometry import Array
from tests.benchmarks.emt_folder import emt_frames
from tests.systems import oxygen_on_copper

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "finetuna"
published = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the published DFT data are not here"),
]
KERNELS = ["rq", "m52"]


@pytest.fixture(scope="module", params=KERNELS)
def calculator(request: pytest.FixtureRequest) -> FittedParentCalculator:
    settings = GPSettings(kernel=request.param, length=1.0 if request.param == "rq" else 2.0)
    fit = fit_parent(labels_of("1", emt_frames()), settings, seed=0)
    assert fit.report["usable"]
    return FittedParentCalculator(FittedParent(fit.data))


def off_the_path(calculator: FittedParentCalculator) -> Atoms:
    atoms = calculator.parent.start
    atoms.positions[calculator.parent.free] += np.random.default_rng(3).normal(0, 0.08, (5, 3))
    atoms.calc = calculator
    return atoms


@pytest.mark.slow
def test_forces_are_minus_the_gradient(calculator: FittedParentCalculator) -> None:
    atoms = off_the_path(calculator)
    forces, step = atoms.get_forces(apply_constraint=False), 1e-4
    for atom in calculator.parent.free:
        for axis in range(3):
            energies = []
            for sign in (1, -1):
                atoms.positions[atom, axis] += sign * step
                energies.append(atoms.get_potential_energy())
                atoms.positions[atom, axis] -= sign * step
            slope = (energies[0] - energies[1]) / (2 * step)
            assert forces[atom, axis] == pytest.approx(-slope, abs=1e-5)


@pytest.mark.slow
def test_a_fixed_atom_has_no_force(calculator: FittedParentCalculator) -> None:
    forces = off_the_path(calculator).get_forces(apply_constraint=False)
    assert not forces[calculator.parent.fixed].any()


@pytest.mark.slow
def test_wrapped_atoms_are_the_same(calculator: FittedParentCalculator) -> None:
    atoms = off_the_path(calculator)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.set_positions(atoms.positions + atoms.cell.array[0], apply_constraint=False)
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-9)


@pytest.mark.slow
def test_bfgs_goes_as_on_the_labels(calculator: FittedParentCalculator) -> None:
    real, fitted = oxygen_on_copper(), calculator.parent.start
    real.calc, fitted.calc = EMT(), calculator
    optimizers = [BFGS(atoms, logfile=None) for atoms in (real, fitted)]
    for optimizer in optimizers:
        assert optimizer.run(fmax=0.03)
    assert optimizers[1].nsteps == pytest.approx(optimizers[0].nsteps, abs=3)
    assert fitted.get_potential_energy() == pytest.approx(real.get_potential_energy(), abs=2e-3)
    np.testing.assert_allclose(fitted.positions, real.positions, atol=0.02)  # Å; fmax allows more
    assert not calculator.results["off_domain"]


@pytest.mark.slow
def test_far_from_the_labels_is_off_domain(calculator: FittedParentCalculator) -> None:
    atoms = calculator.parent.start
    atoms.positions[-1, 2] += 0.5
    atoms.calc = calculator
    atoms.get_potential_energy()
    assert calculator.results["off_domain"]
    frames = calculator.parent.frames.reshape(-1, 5, 3)
    naive = min(
        max(float(np.linalg.norm(way)) for way in atoms.positions[4:] - frame) for frame in frames
    )
    assert calculator.results["distance_to_data"] == pytest.approx(naive)


@pytest.mark.slow
def test_other_atoms_are_refused(calculator: FittedParentCalculator) -> None:
    atoms = oxygen_on_copper()
    atoms.symbols[-1] = "N"
    atoms.calc = calculator
    with pytest.raises(ValueError, match="Cu8N in this cell is not system 1"):
        atoms.get_potential_energy()


@pytest.mark.slow
def test_a_moved_fixed_atom_is_refused(calculator: FittedParentCalculator) -> None:
    atoms = oxygen_on_copper()
    atoms.set_constraint()
    atoms.positions[0, 0] += 0.1
    atoms.calc = calculator
    with pytest.raises(ValueError, match=r"0\.100 Å from its place"):
        atoms.get_potential_energy()


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_covariance_is_that_of_a_function_and_its_slopes(kernel: str) -> None:
    settings = GPSettings(kernel=kernel, length=0.7)
    points = np.random.default_rng(5).normal(0, 0.4, (2, 3))

    def between(a: Array, b: Array) -> float:
        away = np.array([((a - b) ** 2).sum() / settings.length**2])
        return float(kernel_derivatives(away, kernel)[0][0])

    def force_by_difference(a: Array, b: Array, axis: int, step: float = 1e-4) -> float:
        shift = step * np.eye(3)[axis]
        return -(between(a, b + shift) - between(a, b - shift)) / (2 * step)

    matrix = covariance(points, settings)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    for axis in range(3):
        naive = force_by_difference(points[0], points[1], axis)
        assert matrix[0, 2 + 3 + axis] == pytest.approx(naive, abs=1e-6)
        for other in range(3):
            shift = 1e-4 * np.eye(3)[other]
            above = force_by_difference(points[0] + shift, points[1], axis)
            below = force_by_difference(points[0] - shift, points[1], axis)
            naive = -(above - below) / 2e-4
            assert matrix[2 + other, 2 + 3 + axis] == pytest.approx(naive, abs=1e-5)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_wild_frames_and_moved_fixed_atoms_are_left_out() -> None:
    frames = emt_frames()[:10]
    labels = labels_of("1", frames)
    high, strong, moved = (frames[1].copy() for _ in range(3))
    moved.set_constraint()
    moved.positions[0, 0] += 0.02
    energy, forces = frames[0].get_potential_energy(), np.zeros((9, 3))
    high.calc = SinglePointCalculator(high, energy=energy + 1.01, forces=forces)
    moved.calc = SinglePointCalculator(moved, energy=energy, forces=forces)
    strong.calc = SinglePointCalculator(strong, energy=energy, forces=forces + 5.8)  # norm 10.05
    wilder = labels_of("1", [*frames, high, strong, moved])
    assert (labels.dropped_extreme, labels.dropped_moved) == (0, 0)
    assert (wilder.dropped_extreme, wilder.dropped_moved) == (2, 1)
    np.testing.assert_array_equal(wilder.x, labels.x)


def test_frames_without_a_system_are_refused(tmp_path: Path) -> None:
    frame = emt_frames()[0]
    del frame.info["sid"]
    ase.io.write(tmp_path / "labelled.extxyz", frame)
    with pytest.raises(ValueError, match=r"labelled\.extxyz:2 names no system"):
        read_frames(tmp_path / "labelled.extxyz")


def test_frames_that_fix_nothing_are_refused() -> None:
    frame = emt_frames()[0]
    frame.set_constraint()
    frame.set_tags(0)
    with pytest.raises(ValueError, match="neither constraints nor tags"):
        labels_of("1", [frame])


def test_a_tag_of_zero_stands_for_a_constraint() -> None:
    frame = emt_frames()[0]
    frame.set_constraint()
    assert list(labels_of("1", [frame]).free) == [4, 5, 6, 7, 8]


def test_centres_are_spread_out() -> None:
    line = np.column_stack([np.array([0, 0, 0.1, 0.2, 1.0, 2.0]), np.zeros((6, 2))])
    assert list(spread_out(line, np.array([0]), 3)) == [0, 5, 4]
    assert len(spread_out(line, np.array([0, 1]), 6)) == 5  # two are the same


def test_a_second_run_adds_systems_and_keeps_those_that_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = {sid: emt_frames(sid)[:25] for sid in ("1", "2")}
    folder = tmp_path / "data"
    said = []
    for held in (frames["1"], [*frames["1"], *frames["2"]]):
        ase.io.write(tmp_path / "labelled.extxyz", held)
        main(["--frames", str(tmp_path / "labelled.extxyz"), "--out", str(folder)])
        said.append(capsys.readouterr().out)
    assert "1: 25 labels" in said[0]
    assert "2: 25 labels" in said[1]
    assert "1: 25 labels" not in said[1]
    assert set(json.loads((folder / "reference_table.json").read_text())) == {"1", "2"}
    starts = list(ase.io.iread(folder / "initial_structures.extxyz"))
    assert [str(start.info["sid"]) for start in starts] == ["1", "2"]
    assert list(starts[0].constraints[0].index) == [0, 1, 2, 3]


class TestPublished:
    """Beside the potentials and the table that came with the published relaxations."""

    pytestmark = published

    @pytest.mark.parametrize("file", ["parents/440438", "parents/2501730", "parents_matern/441903"])
    def test_the_same_file_gives_the_same_potential(self, file: str) -> None:
        path = DATA / f"{file}.npz"
        ours = FittedParentCalculator(path)
        theirs = reference_module().FittedParentCalculator(str(path))
        rng = np.random.default_rng(1)
        for spread in (0.0, 0.05, 0.3):
            atoms = ours.parent.start
            noise = rng.normal(0, spread, (len(ours.parent.free), 3))
            atoms.positions[ours.parent.free] += noise
            results = []
            for calculator in (ours, theirs):
                atoms.calc = calculator
                atoms.get_potential_energy()
                results.append(calculator.results)
            assert results[0]["energy"] == pytest.approx(results[1]["energy"], abs=1e-9)
            np.testing.assert_allclose(results[0]["forces"], results[1]["forces"], atol=1e-9)
            assert results[0]["distance_to_data"] == pytest.approx(results[1]["distance_to_data"])

    def test_its_bfgs_takes_the_calls_that_vasp_took(self) -> None:
        parent = FittedParentCalculator(DATA / "parents" / "1135151.npz").parent
        table = json.loads((DATA / "reference_table.json").read_text())["1135151"]["ASE_BFGS"]
        relaxed = relax_on(parent)
        assert relaxed["n_bfgs_parent"] == pytest.approx(table["dft_calls"], abs=2)
        assert relaxed["e_bfgs_parent"] == pytest.approx(table["e_final"], abs=2e-3)

    def test_the_table_is_the_published_one(self) -> None:
        sid = "1135151"
        frames = read_frames(DATA / "frames.extxyz.gz", [sid])[sid]
        expected = json.loads((DATA / "reference_table.json").read_text())[sid]
        found = reference_row(sid, frames, "VASP_CG")
        assert found is not None
        assert found.keys() == expected.keys()
        for method, row in expected.items():
            assert found[method] == pytest.approx(row, abs=2e-5)

    def test_the_same_frames_are_left_out(self) -> None:
        sid = "1135151"
        theirs = FittedParentCalculator(DATA / "parents" / f"{sid}.npz").parent
        ours = labels_of(sid, read_frames(DATA / "frames.extxyz.gz", [sid])[sid])
        assert ours.dropped_extreme == 2
        np.testing.assert_allclose(np.sort(ours.energies), np.sort(theirs.frame_energies))


def reference_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_parent", DATA / "fitted_parent.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
