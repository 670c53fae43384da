"""OC20's input set, and the settings of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from monty.json import MontyDecoder, MontyEncoder
from numpy.typing import ArrayLike
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Incar, Kpoints, Poscar

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.specs import Continuation, VaspParentSpec
from finetuna_flows.parents.vasp.folder import VaspFolder
from finetuna_flows.parents.vasp.incar import RELAXATION_TAGS
from finetuna_flows.parents.vasp.incar_file import read_incar
from finetuna_flows.parents.vasp.inputs import make_inputs
from finetuna_flows.parents.vasp.sets import OC20SetGenerator
from finetuna_flows.vasp.level import vasp_level
from tests.contracts.parent import ParentContract
from tests.vasp import CAPTURES, captured, potcar


def structure(cell: ArrayLike) -> Structure:
    return Structure(Lattice(cell), ["Cu"], [[0, 0, 0]])


@pytest.mark.parametrize(
    ("cell", "grid"),
    [
        (np.diag([8.0, 10.0, 30.0]), (5, 4, 1)),
        (np.diag([90.0, 81.0, 5.0]), (1, 1, 1)),
        ([[7.7, 0, 0], [3.85, 6.67, 0], [0, 0, 25]], (5, 6, 1)),  # not by lengths, which are equal
        ([[-8.0, 0, 0], [0, -10.0, 0], [0, 0, 30]], (5, 4, 1)),
    ],
)
def test_kpoints_go_by_the_largest_component(cell: ArrayLike, grid: tuple[int, int, int]) -> None:
    kpoints = OC20SetGenerator().get_input_set(structure(cell), potcar_spec=True).kpoints
    assert kpoints is not None
    assert kpoints.kpts[0] == grid
    assert kpoints.style is Kpoints.supported_modes.Monkhorst


def grid_of(atoms: Atoms) -> tuple[float, ...]:
    kpoints = make_inputs(OC20SetGenerator(), atoms, Continuation.COLD, stand_in=True).kpoints
    assert kpoints is not None
    return tuple(kpoints.kpts[0])


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("periodic", [False, True])
def test_the_one_point_is_along_the_surface_normal(order: tuple[int, ...], periodic: bool) -> None:
    slab = fcc111("Cu", (2, 3, 3), a=3.6, vacuum=6.0, periodic=periodic)
    turned = slab.copy()
    turned.set_cell(slab.cell[list(order)])
    turned.pbc = slab.pbc[list(order)]
    assert grid_of(turned) == tuple(np.array([8, 6, 1])[list(order)])


def test_a_slab_whose_adsorbate_fills_the_vacuum_is_still_one() -> None:
    slab = fcc111("Cu", (2, 2, 3), a=3.6, vacuum=4.0, periodic=True)
    guest = Atoms("C2", positions=slab.positions[-1] + [(0, 0, 2.0), (0, 0, 4.0)], tags=[2, 2])
    assert grid_of(slab + guest) == (8, 9, 1)


def test_a_crystal_is_sampled_along_all_axes_and_a_wire_along_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert grid_of(bulk("Cu", cubic=True, a=3.6)) == (11, 11, 11)
    assert "Cu4 has vacuum along no axis" in caplog.text
    assert "one k-point along no axis" in caplog.text
    assert grid_of(Atoms("Au", cell=[12.0, 15.0, 2.7], pbc=True)) == (1, 1, 15)
    assert "one k-point along a and b" in caplog.text


def test_a_dipole_correction_along_the_surface_is_refused() -> None:
    slab = fcc111("Cu", (2, 2, 3), vacuum=6.0, periodic=True)
    slab.set_cell(slab.cell[[2, 0, 1]])
    generator = OC20SetGenerator(user_incar_settings={"LDIPOL": True, "IDIPOL": 3})
    words = r"IDIPOL is 3 but the surface normal is along a \(widest gaps .*\); set it to 1"
    with pytest.raises(ValueError, match=words):
        make_inputs(generator, slab, Continuation.COLD, stand_in=True)
    right = OC20SetGenerator(user_incar_settings={"LDIPOL": True, "IDIPOL": 1})
    assert make_inputs(right, slab, Continuation.COLD, stand_in=True).incar["IDIPOL"] == 1


def test_tags_are_oc20s_and_no_more() -> None:
    incar = OC20SetGenerator().get_input_set(structure(np.eye(3) * 8), potcar_spec=True).incar
    assert dict(incar) == dict(
        Incar.from_str(
            "IBRION=2\nNSW=2000\nISIF=0\nISPIN=1\nISYM=0\nLREAL=Auto\nEDIFFG=-0.03\n"
            "SYMPREC=1e-10\nENCUT=350.0\nLAECHG=.FALSE.\nLWAVE=.FALSE.\nNCORE=4\nGGA=RP"
        )
    )


@pytest.mark.filterwarnings("ignore:.*POTCARs.*")
def test_users_tags_points_and_potcars_win() -> None:
    generator = OC20SetGenerator(
        user_incar_settings={"ENCUT": 450, "NCORE": None},
        user_kpoints_settings=Kpoints.gamma_automatic((3, 3, 1)),  # type: ignore[arg-type]  # taken
        user_potcar_settings={"Cu": "Cu_pv"},
    )
    made = generator.get_input_set(structure(np.eye(3) * 8), potcar_spec=True)
    assert made.incar["ENCUT"] == 450
    assert "NCORE" not in made.incar
    assert made.kpoints is not None
    assert made.kpoints.kpts[0] == (3, 3, 1)
    assert made.potcar == "Cu_pv"


def test_moments_reach_a_spin_polarised_set_alone() -> None:
    cell = structure(np.eye(3) * 8)
    cell.add_site_property("magmom", [2.5])
    made = OC20SetGenerator(user_incar_settings={"ISPIN": 2})
    assert made.get_input_set(cell, potcar_spec=True).incar["MAGMOM"] == [2.5]
    assert "MAGMOM" not in OC20SetGenerator().get_input_set(cell, potcar_spec=True).incar


def test_asking_a_set_leaves_the_spec_as_it_is() -> None:
    spec = VaspParentSpec()
    before = json.dumps(spec, cls=MontyEncoder)
    make_inputs(
        spec.input_set_generator, ParentContract.geometry(), spec.continuation, stand_in=True
    )
    assert json.dumps(spec, cls=MontyEncoder) == before


def test_potcars_are_the_smallest_that_there_are() -> None:
    potcars = OC20SetGenerator().config_dict["POTCAR"]
    assert [potcars[el] for el in ("H", "Cu", "Pt", "Zr", "Ca", "Nb")] == [
        "H", "Cu", "Pt", "Zr_sv", "Ca_pv", "Nb_pv",
    ]  # fmt: skip


@pytest.fixture
def atoms() -> Atoms:
    return ParentContract.geometry()


@pytest.fixture
def folder(tmp_path: Path, atoms: Atoms) -> Path:
    """Of a relaxation, as a user has it; oxygen first, copper in two groups."""
    mixed = atoms[[8, 0, 1, 2, 3, 4, 5, 6, 7]]
    made = tmp_path / "inputs"
    made.mkdir()
    Poscar(
        Structure(np.asarray(mixed.cell), list(mixed.symbols), mixed.get_scaled_positions())
    ).write_file(made / "POSCAR")
    (made / "INCAR").write_text(
        "ENCUT = 420 ! eV\nGGA = PE; IBRION = 2\nNSW = 99\nEDIFFG = -0.02\n"
    )
    Kpoints.gamma_automatic((3, 3, 1)).write_file(str(made / "KPOINTS"))
    return made


def test_a_folder_is_taken_as_it_is(folder: Path, atoms: Atoms) -> None:
    settings = VaspFolder(str(folder))
    own = atoms[[8, 0, 1, 2, 3, 4, 5, 6, 7]]
    inputs = make_inputs(settings, own, Continuation.KEPT, stand_in=True)
    assert inputs.incar["ENCUT"] == 420
    assert inputs.incar["NSW"] == 2000
    assert inputs.order.tolist() == list(range(9))
    assert inputs.level == (
        "stand-in for VASP PBE, 420 eV, ISMEAR 1 of 0.2 eV, no spin, 3×3×1 Gamma k-points, PAW Cu O"
    )
    assert settings.fmax == 0.02
    assert settings.get_input_set(potcar_spec=True).incar["NSW"] == 99


def test_a_folder_holds_for_its_own_structure(folder: Path, atoms: Atoms) -> None:
    settings = VaspFolder(str(folder))
    for other in (atoms, fcc111("Cu", (1, 1, 1), vacuum=5, periodic=True)):
        with pytest.raises(ValueError, match="other atoms, or another order, than POSCAR in"):
            make_inputs(settings, other, Continuation.COLD, stand_in=True)


def test_a_folder_is_remembered_whole_and_known_by_what_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    settings = VaspFolder("inputs")
    assert settings.folder == str(folder.resolve())
    again = json.loads(json.dumps(settings, cls=MontyEncoder), cls=MontyDecoder)
    assert again == settings
    before = settings.fingerprint()
    points = (folder / "KPOINTS").read_text()
    (folder / "KPOINTS").write_text("another comment\n" + points.partition("\n")[2])
    assert settings.fingerprint() == before
    (folder / "KPOINTS").write_text(points.replace("3 3 1", "4 4 1"))
    assert settings.fingerprint() != before


def test_what_a_folder_lacks_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no INCAR but must hold INCAR, POSCAR and POTCAR"):
        VaspFolder(str(tmp_path))
    for tags, words in (("IBRION = 0", "IBRION is 0"), ("ICHARG = 11", "ICHARG is 11")):
        (folder / "INCAR").write_text(tags)
        with pytest.raises(ValueError, match=f"{words} but must be one of"):
            VaspFolder(str(folder))


@pytest.mark.parametrize("kind", Continuation)
def test_what_a_folder_says_of_files_is_replaced(
    folder: Path, atoms: Atoms, kind: Continuation
) -> None:
    with (folder / "INCAR").open("a") as incar:
        incar.write("ISTART = 0\nICHARG = 1\nLWAVE = .FALSE.\nLCHARG = .TRUE.\nNELM = 80\n")
    own = atoms[[8, 0, 1, 2, 3, 4, 5, 6, 7]]
    made = make_inputs(VaspFolder(str(folder)), own, kind, stand_in=True).incar
    assert made["NELM"] == 80
    assert made["ISTART"] == (1 if kind is Continuation.RESTART else 0)
    assert made["LWAVE"] is (kind is Continuation.RESTART)


@pytest.mark.filterwarnings("ignore:POTCAR data with symbol")  # it is one of a test
@pytest.mark.parametrize("name", ["POTCAR", "POTCAR.spec"])
def test_potcars_in_another_order_than_poscar_are_refused(
    folder: Path, atoms: Atoms, name: str
) -> None:
    own = atoms[[8, 0, 1, 2, 3, 4, 5, 6, 7]]
    heads = {"Cu": potcar("Cu", 11), "O": potcar("O", 6)}

    def write(*elements: str) -> None:
        texts = [heads[each] if name == "POTCAR" else f"{each}\n" for each in elements]
        (folder / name).write_text("".join(texts))

    write("O", "Cu")
    inputs = make_inputs(VaspFolder(str(folder)), own, Continuation.COLD, stand_in=True)
    assert inputs.potcar == "O\nCu"
    write("Cu", "O")
    with pytest.raises(ValueError, match=r"POTCAR in .* is of Cu O but POSCAR of O Cu; VASP would"):
        make_inputs(VaspFolder(str(folder)), own, Continuation.COLD, stand_in=True)


def test_the_names_in_a_potcar_spec_count(folder: Path, atoms: Atoms) -> None:
    (folder / "POTCAR.spec").write_text("O_s\nCu_pv\n")
    own = atoms[[8, 0, 1, 2, 3, 4, 5, 6, 7]]
    inputs = make_inputs(VaspFolder(str(folder)), own, Continuation.COLD, stand_in=True)
    assert inputs.level.endswith("PAW Cu_pv O_s")
    with pytest.raises(ParentError, match="no POTCAR for"):
        make_inputs(VaspFolder(str(folder)), own, Continuation.COLD, stand_in=False)


def test_a_magmom_for_other_atoms_is_refused(folder: Path, atoms: Atoms) -> None:
    with (folder / "INCAR").open("a") as incar:
        incar.write("ISPIN = 2\nMAGMOM = 8*0.0 2*1.0\n")
    own = atoms[[8, 0, 1, 2, 3, 4, 5, 6, 7]]
    with pytest.raises(ValueError, match="MAGMOM has 10 numbers for 9 atoms"):
        make_inputs(VaspFolder(str(folder)), own, Continuation.COLD, stand_in=True)


@pytest.mark.shared_data
@captured
def test_the_folder_of_a_real_relaxation(tmp_path: Path) -> None:
    source = CAPTURES / "custodian/tests/files/max_force"
    settings = VaspFolder(str(source))
    made = settings.get_input_set(potcar_spec=True)
    assert len(made.poscar.structure) == 120
    assert "IBRION" in settings.incar
    assert set(settings.incar) - set(settings.said_incar) <= set(RELAXATION_TAGS)


def test_elements_are_grouped_and_found_again(atoms: Atoms) -> None:
    mixed = atoms[[0, 8, 1, 2, 3, 4, 5, 6, 7]]
    mixed.symbols[3] = "Ag"
    inputs = make_inputs(OC20SetGenerator(), mixed, Continuation.COLD, stand_in=True)
    assert list(mixed.symbols[inputs.order]) == ["Cu"] * 7 + ["Ag", "O"]
    assert inputs.potcar == "Cu\nAg\nO"
    rows = mixed.positions[inputs.order]
    assert (inputs.to_atoms(rows) == mixed.positions).all()


@pytest.mark.parametrize(
    ("tags", "read"),
    [
        ("EDIFF = 1D-6", {"EDIFF": 1e-6}),
        ("EDIFFG = -1d-1 ; NELM=200 # many", {"EDIFFG": -0.1, "NELM": 200}),
        ("AEXX = 2.5D-1\nHFSCREEN = .2d0", {"AEXX": 0.25, "HFSCREEN": 0.2}),
        ("MAGMOM = 8*0.5 1\nISPIN = 2", {"MAGMOM": [*[0.5] * 8, 1.0], "ISPIN": 2}),
        ("SYSTEM = O on Cu 3D-print", {"SYSTEM": "O on Cu 3D-print"}),
        ("LREAL = Auto\nLWAVE = .FALSE.", {"LREAL": "Auto", "LWAVE": False}),
    ],
)
def test_numbers_are_read_as_fortran_reads_them(
    tmp_path: Path, tags: str, read: dict[str, object]
) -> None:
    (tmp_path / "INCAR").write_text(tags)
    assert read_incar(tmp_path / "INCAR") == read


@pytest.mark.parametrize("tags", ["NELM = 1E2", "NSW = 99.5"])
def test_a_number_that_would_be_read_wrongly_is_refused(tmp_path: Path, tags: str) -> None:
    (tmp_path / "INCAR").write_text(tags)
    with pytest.raises(ValueError, match=rf"{tags[:3]}\w* is '.*' in .* but is read as"):
        read_incar(tmp_path / "INCAR")


def test_a_folder_without_kpoints_or_potcar_is_refused(folder: Path, atoms: Atoms) -> None:
    own = atoms[[8, 0, 1, 2, 3, 4, 5, 6, 7]]
    with pytest.raises(ValueError, match="holds no POTCAR, without which VASP does not start"):
        make_inputs(VaspFolder(str(folder)), own, Continuation.COLD, stand_in=False)
    (folder / "KPOINTS").unlink()
    with pytest.raises(ValueError, match="holds no KPOINTS and INCAR no KSPACING"):
        VaspFolder(str(folder))
    with (folder / "INCAR").open("a") as incar:
        incar.write("KSPACING = 0.3\n")
    assert make_inputs(
        VaspFolder(str(folder)), own, Continuation.COLD, stand_in=True
    ).level.endswith("KSPACING 0.3, PAW Cu O")


def test_levels_differ_where_functionals_do() -> None:
    plain = {"GGA": "MK", "LUSE_VDW": True, "PARAM1": 0.1234}
    other = {**plain, "PARAM1": 0.22}
    assert vasp_level(plain, None, ["Cu"]) != vasp_level(other, None, ["Cu"])
    assert vasp_level({"NCORE": 4, "ALGO": "Fast"}, None, []) == vasp_level({}, None, [])
    assert vasp_level({"LREAL": "Auto"}, None, []) == vasp_level({"LREAL": "A"}, None, [])


def test_a_magmom_that_the_set_does_not_take_is_refused(atoms: Atoms) -> None:
    generator = OC20SetGenerator(user_incar_settings={"ISPIN": 2, "MAGMOM": [1.0] * 9})
    with pytest.raises(ValueError, match="MAGMOM is by element"):
        make_inputs(generator, atoms, Continuation.COLD, stand_in=True)
