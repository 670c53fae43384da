"""Files of relaxations are complete, replace nothing unasked, and models can learn from them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase.calculators.emt import EMT
from jobflow.core.store import JobStore

from finetuna_flows.geometry import fmax, free_components
from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.export import FileKind, export_structures, export_table, file_kind
from finetuna_flows.results.find import relaxation_docs
from finetuna_flows.results.labelled import labelled_geometries
from tests.results.kept import filled_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> JobStore:
    return filled_store(tmp_path_factory.mktemp("export"))


def test_tables_hold_a_row_each(store: JobStore, tmp_path: Path) -> None:
    for suffix in ("csv", "json", "jsonl"):
        assert export_table(store, tmp_path / f"table.{suffix}", name="fast").rows == 1
        assert export_table(store, tmp_path / f"all.{suffix}").rows == 4
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    objects = json.loads((tmp_path / "all.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert objects == lines
    assert [row["uuid"] for row in rows] == [each["uuid"] for each in objects]
    assert rows[-1]["tags"] == "paper;day 1"
    assert float(rows[-1]["timings_total"]) == objects[-1]["timings"]["total"]


@pytest.mark.parametrize("name", ["final.extxyz", "final.db"])
def test_final_structures_come_with_what_the_parent_said(
    name: str, store: JobStore, tmp_path: Path
) -> None:
    done = export_structures(store, tmp_path / name, sort="completed_at")
    assert (done.relaxations, done.rows, done.unlabelled) == (4, 3, 1)
    docs = list(relaxation_docs(store, sort="completed_at"))
    for doc, atoms in zip(docs, ase.io.read(tmp_path / name, ":"), strict=False):
        assert atoms.get_potential_energy() == pytest.approx(doc.energy, abs=1e-8)
        forces = atoms.get_forces(apply_constraint=False)
        assert forces == pytest.approx(np.array(doc.forces), abs=1e-7)  # digits of extxyz
        assert fmax(forces, free_components(atoms)) == pytest.approx(doc.fmax, abs=1e-7) or (
            doc.name == "water"  # whose fmax the test made up
        )
        atoms.calc = EMT()  # it is the geometry of that label
        assert atoms.get_potential_energy() == pytest.approx(doc.energy, abs=1e-6)
        if doc.name != "water":
            assert atoms.get_tags().tolist() == [0] * 4 + [1] * 4 + [2]


def test_structures_say_where_they_come_from(store: JobStore, tmp_path: Path) -> None:
    export_structures(store, tmp_path / "final.extxyz", name="fast")
    (atoms,) = ase.io.read(tmp_path / "final.extxyz", ":")
    info = atoms.info
    (doc,) = relaxation_docs(store, name="fast")
    assert info["uuid"] == doc.uuid
    assert (info["system"], info["method"], info["adsorbate"]) == ("random1", "online", "O")
    assert info["converged"]
    export_structures(store, tmp_path / "final.db")
    with ase.db.connect(tmp_path / "final.db") as database:
        assert database.get(name="fast").uuid == doc.uuid
        assert database.count(converged=True) == 2
        numbered = database.get(system=17)  # a text that ASE's database takes for a number
        assert numbered.data["system"] == "17"


def test_every_label_can_be_learned_from(store: JobStore, tmp_path: Path) -> None:
    done = export_structures(store, tmp_path / "labels.extxyz", labels=True, system="random1")
    frames = ase.io.read(tmp_path / "labels.extxyz", ":")
    docs = list(relaxation_docs(store, system="random1", load=True))
    assert done.rows == len(frames) == sum(doc.parent_calls for doc in docs)
    assert {atoms.info["uuid"] for atoms in frames} == {doc.uuid for doc in docs}
    for atoms in frames[::7]:
        told = atoms.get_forces(apply_constraint=False)
        energy = atoms.get_potential_energy()
        atoms.calc = EMT()
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        assert told == pytest.approx(atoms.get_forces(apply_constraint=False), abs=1e-5)


def test_labels_are_those_of_the_ledger(store: JobStore) -> None:
    (doc,) = relaxation_docs(store, name="fast", load=True)
    assert isinstance(doc.trajectory, Trajectory)
    steps = [atoms.info["step"] for atoms in labelled_geometries(doc)]
    assert steps == [i for i, asked in enumerate(doc.trajectory.labelled) if asked]
    assert next(labelled_geometries(doc)).calc.results.keys() == {"energy", "forces", "free_energy"}
    (bare,) = relaxation_docs(store, name="fast")
    with pytest.raises(ValueError, match=r"the trajectory of .* is not loaded"):
        next(labelled_geometries(bare))


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(
    store: JobStore, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("mine")
    with pytest.raises(ValueError, match=r"table.csv is there already; .*force"):
        export_table(store, path)
    assert path.read_text() == "mine"
    with pytest.raises(ValueError, match=r"nothing in .* matches; no file is written"):
        export_table(store, path, force=True, name="nobody")
    assert path.read_text() == "mine"
    export_table(store, path, force=True)
    assert path.read_text().startswith("uuid,")
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_half_done_is_left(store: JobStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="adsorbate is"):
        export_structures(store, tmp_path / "final.db", adsorbate="nothing")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("table.xlsx", "ends in '.xlsx', which does not say what it is to hold; use one of .csv"),
        ("no/table.csv", "no is not a folder; make it first"),
        ("final.extxyz", "a table cannot be extxyz; use one of csv"),
    ],
)
def test_export_refuses(name: str, message: str, store: JobStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        export_table(store, tmp_path / name)


def test_structures_are_no_table(store: JobStore, tmp_path: Path) -> None:
    assert file_kind(tmp_path / "a.xyz") is FileKind.EXTXYZ
    with pytest.raises(ValueError, match="structures cannot be csv; use one of extxyz, ase-db"):
        export_structures(store, tmp_path / "a.csv")
