"""What is inferred of a structure is said before anything starts, and kept."""

from __future__ import annotations

import json
import os
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111
from ase.constraints import FixAtoms
from ase.io import write
from typer.testing import CliRunner, Result

from finetuna_flows.cli import app
from finetuna_flows.structures.read import read_structure
from tests.relaxation.recorded_files import frame
from tests.systems import oxygen_on_copper
from tests.vasp import stand_in

CASE = Path(__file__).parents[3] / "shared" / "cases" / "vacuum_along_a"
CHEAP = ("--parent", "emt", "--method", "BFGS", "--max-calls", "1")

case = pytest.mark.skipif(not CASE.exists(), reason=f"no case in {CASE}")


def run(folder: Path, *words: str) -> Result:
    environ = os.environ | {
        "FINETUNA_FLOWS_STORE_PATH": str(folder / "store"),
        "FINETUNA_FLOWS_CONFIG_FILE": str(folder / "settings.yaml"),
        "JOBFLOW_CONFIG_FILE": str(folder / "jobflow.yaml"),
    }
    with chdir(folder):
        return CliRunner().invoke(app, words, env=environ)


def only_document(result: Result) -> dict[str, object]:
    (line,) = result.stdout.splitlines()
    document: dict[str, object] = json.loads(line)
    return document


def counted() -> Atoms:
    """O on Cu(111), tagged by ASE: layers from 3 to 1 and 0 for O."""
    slab: Atoms = fcc111("Cu", (2, 2, 3), a=3.6, vacuum=6.0, periodic=True)
    add_adsorbate(slab, "O", 1.3, "fcc")
    slab.set_constraint(FixAtoms(range(8)))
    slab.info = {}
    return slab


@case
@pytest.mark.shared_data
def test_a_vacuum_along_a_is_found_by_all(tmp_path: Path) -> None:
    with stand_in():
        words = ("--parent", "vasp", "--dry-run")
        along_a = run(tmp_path, "relax", str(CASE / "vac_a.vasp"), *words)
        along_c = run(tmp_path, "relax", str(CASE / "vac_c.vasp"), *words)
    assert "1×8×9 Monkhorst k-points" in along_a.stderr
    assert "8×9×1 Monkhorst k-points" in along_c.stderr
    assert "surface normal along a (widest gaps between atoms along a 12.4 Å" in along_a.stderr
    assert "surface normal" not in along_c.stderr
    for name in ("vac_a", "vac_c"):
        done = run(tmp_path, "relax", str(CASE / f"{name}.vasp"), *CHEAP, "--fix-layers", "2")
        assert done.exit_code == 1, done.stderr
        assert "Cu12O, 8 of 13 atoms fixed" in done.stderr
        end = read_structure(tmp_path / "runs" / name / "BFGS" / "CONTCAR")
        (constraint,) = end.constraints
        assert constraint.index.tolist() == list(range(8))


def test_layers_of_a_crystal_are_not_fixed_but_it_is_relaxed(tmp_path: Path) -> None:
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.05, seed=1)
    write(tmp_path / "bulk.vasp", crystal)
    refused = run(tmp_path, "relax", "bulk.vasp", *CHEAP, "--fix-layers", "1")
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert "Cu4 has vacuum along no axis (widest gaps between atoms along a 1" in said
    done = run(tmp_path, "relax", "bulk.vasp", "--parent", "emt", "--method", "BFGS", "--json")
    assert done.exit_code == 0, done.stderr
    said_of_it = only_document(done)["inferred"]
    assert isinstance(said_of_it, list)
    first, second = said_of_it
    assert first == "no adsorbate is assumed: no atom has the tag 2"
    assert second.startswith("no surface normal: Cu4 has vacuum along no axis")


def test_tags_that_count_layers_are_told_with_the_way_out(tmp_path: Path) -> None:
    write(tmp_path / "o_cu.traj", counted())
    done = run(tmp_path, "relax", "o_cu.traj", *CHEAP, "--json")
    assert (
        "o_cu: Cu12O, 8 of 13 atoms fixed, no adsorbate is assumed: the tags from 0 to 3 are not "
        "OC20's but count layers; perhaps it is O (atom 12); name its atoms (--adsorbate)"
    ) in done.stderr
    document = only_document(done)
    assert document["adsorbate"] is None
    assert document["integrity"] == "no_adsorbate"
    named = run(tmp_path, "relax", "o_cu.traj", *CHEAP, "--adsorbate", "12", "-d", "n", "--json")
    assert "adsorbate O (atom 12), named as such" in named.stderr
    document = only_document(named)
    assert document["adsorbate"] == "O"
    assert document["integrity"] == "intact"
    assert document["inferred"] == [
        "adsorbate O (atom 12), named as such",
        "surface normal along c: widest gaps between atoms along a 0.7 Å, b 0.7 Å, c 10.7 Å",
    ]


def test_an_import_tells_it_and_a_named_adsorbate_survives_the_way_out_and_in(
    tmp_path: Path,
) -> None:
    for name in ("counted", "within"):
        atoms = counted()
        if name == "within":
            atoms.positions[12, 2] -= 2.4
            atoms.set_tags([0] * 8 + [1] * 4 + [2])
        forces = np.zeros((13, 3))
        write(tmp_path / f"{name}.extxyz", [frame(atoms, each, forces) for each in (0.1, 0.0)])
    done = run(tmp_path, "import", "counted.extxyz", "--json")
    said = " ".join(done.stderr.split())
    assert "Cu12O: no adsorbate is assumed: the tags from 0 to 3 are not OC20's" in said
    assert "perhaps it is O (atom 12); name its atoms (--adsorbate, `tag_atoms`)" in said
    assert only_document(done)["adsorbate"] is None
    doubted = run(tmp_path, "import", "within.extxyz", "--json")
    assert "O (atom 12) tagged 2 lies within the slab" in " ".join(doubted.stderr.split())
    named = run(tmp_path, "import", "within.extxyz", "--adsorbate", "12", "--again", "--json")
    assert only_document(named)["adsorbate"] == "O"
    out = run(tmp_path, "export", "--system", "within", "-o", "out.extxyz")
    assert out.exit_code == 0, out.stderr
    again = run(tmp_path, "import", "out.extxyz", "--store", "other", "--json")
    assert only_document(again)["adsorbate"] == "O"


def test_the_side_of_the_adsorbate_is_not_fixed(tmp_path: Path) -> None:
    hanging = oxygen_on_copper()
    hanging.set_constraint()
    hanging.positions *= (1, 1, -1)
    write(tmp_path / "hanging.traj", hanging)
    refused = run(tmp_path, "relax", "hanging.traj", *CHEAP, "--fix-layers", "1")
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert "the adsorbate O lies below the slab, where layers would be fixed: up is along c" in said
    top = oxygen_on_copper()
    top.set_constraint(FixAtoms(range(4, 8)))
    write(tmp_path / "top.traj", top)
    refused = run(tmp_path, "relax", "top.traj", "--fix-layers", "1", *CHEAP)
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert "the top layer of Cu8O is fixed and its bottom is not" in said
