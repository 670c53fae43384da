"""What a report says of relaxations and of the study, without opening it in a browser."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.geometry import find_mic
from pymatgen.core.structure import Structure

from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.portable import to_ase
from finetuna_flows.results.report.details import details
from finetuna_flows.results.report.gathered import OLDER
from finetuna_flows.results.report.measured import NOTHING, measured_by
from finetuna_flows.results.report.rows import Row, columns, row_of
from finetuna_flows.results.report.write import write_report
from finetuna_flows.results.tables.counting import Count
from tests.results.made import by_bfgs, slab
from tests.results.report_blocks import Blocks, decoded
from tests.results.reports import IMAGE, SCRIPT, few, named, report_of


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    docs, comparisons = few()
    return report_of(docs, comparisons, tmp_path_factory.mktemp("report") / "r.html", title=SCRIPT)


@pytest.fixture(scope="module")
def blocks(file: Path) -> Blocks:
    return Blocks(file.read_text(encoding="utf-8"))


def test_every_relaxation_has_a_line_and_details(blocks: Blocks) -> None:
    docs, _ = few()
    assert [row["uuid"] for row in blocks.rows] == [doc.uuid for doc in docs]
    for index, doc in enumerate(docs):
        assert blocks.details(index)["facts"]["threshold"] == doc.fmax_threshold


def test_lines_say_what_comparisons_say(blocks: Blocks) -> None:
    _, comparisons = few()
    by_uuid = {row["uuid"]: row for row in blocks.rows}
    for comparison in comparisons:
        for row in comparison.rows:
            said = by_uuid[row.uuid]
            assert said["key"] == comparison.system_key
            assert said["ratio"] == pytest.approx(row.parent_calls_ratio, abs=1e-4)  # as rounded
            assert said["difference"] == pytest.approx(row.energy_difference, abs=1e-5)
            assert (said["passes"], said["strict"]) == (row.passes_energy_test, row.strict_success)
            assert said["same"] is row.same_minimum


def test_ratios_follow_the_counting_rule() -> None:
    docs, comparisons = few()
    minus_one = measured_by(comparisons, Count.FRAMES_MINUS_ONE)
    reference, online = docs[:2]
    row = row_of(online, "key", minus_one.outcomes[online.uuid])
    expected = (online.parent_calls - 1) / (reference.parent_calls - 1)
    assert row.ratio == pytest.approx(expected, abs=1e-4)
    assert row.calls == online.parent_calls


def test_an_older_relaxation_is_of_the_same_system_and_says_so(blocks: Blocks) -> None:
    newest, older = blocks.rows[0], blocks.rows[8]
    assert (older["key"], older["note"], older["compared"]) == (newest["key"], OLDER, False)
    assert older["ratio"] is None


def test_the_summary_is_that_of_the_tables(blocks: Blocks) -> None:
    study = blocks.study
    assert study["reference"] == "BFGS"
    assert study["methods"] == ["BFGS", *study["methods"][1:]]
    assert {"fast", IMAGE, "walk"} == set(study["methods"][1:])
    first = study["tables"][0]
    assert [row[0] for row in first["rows"]] == [each["method"] for each in study["summary"]]


def test_without_a_reference_all_is_listed(tmp_path: Path) -> None:
    docs, _ = few()
    written = write_report(docs, NOTHING, tmp_path / "r.html", title="t")
    assert (written.relaxations, written.reference) == (len(docs), None)
    held = Blocks(written.path.read_text(encoding="utf-8"))
    assert held.study["tables"] == []
    assert {row["ratio"] for row in held.rows} == {None}
    assert written.size == written.path.stat().st_size


def test_columns_hold_what_rows_do() -> None:
    docs, comparisons = few()
    outcomes = measured_by(comparisons).outcomes
    rows = [row_of(doc, f"k{i % 3}", outcomes.get(doc.uuid)) for i, doc in enumerate(docs)]
    assert [Row(**each) for each in decoded(json.loads(json.dumps(columns(rows))))] == rows


def test_curves_and_calls_are_the_documents(blocks: Blocks) -> None:
    docs, _ = few()
    doc, held = docs[1], blocks.details(1)
    assert isinstance(doc.trajectory, Trajectory)
    assert isinstance(doc.ledger, tuple)
    assert held["curve"]["energy"] == pytest.approx(doc.trajectory.energies, abs=5.1e-6)  # rounded
    assert held["curve"]["fmax"] == pytest.approx(doc.trajectory.fmax, abs=5.1e-5)
    assert held["curve"]["labelled"] == [int(each) for each in doc.trajectory.labelled]
    assert held["calls"]["step"] == [entry.step for entry in doc.ledger]
    assert held["calls"]["reasons"][0] == ["first", "every_k"]
    assert held["calls"]["error"] == pytest.approx(
        [entry.force_error for entry in doc.ledger],
        rel=5e-3,  # three digits
    )


def test_energies_of_another_scale_come_with_their_shift() -> None:
    doc = few()[0][1]
    course = doc.trajectory
    assert isinstance(course, Trajectory)
    assert curve_of(doc)["shift"] is None  # 0.1 eV off is an error, not a scale
    away = {
        "energies": tuple(
            energy if labelled else energy + 400.0
            for energy, labelled in zip(course.energies, course.labelled, strict=True)
        ),
        "predicted_energies": tuple(
            None if energy is None else energy + 400.0 for energy in course.predicted_energies
        ),
    }
    curve = curve_of(doc.model_copy(update={"trajectory": course.model_copy(update=away)}))
    shift = curve["shift"]
    assert shift["before"] == shift["after"] == pytest.approx(-400.1, abs=1e-5)
    assert shift["first"] == course.labelled.index(True)
    assert "shifted by −400.10 eV" in shift["said"]
    drawn = [
        energy if labelled else energy + shift["after"]
        for energy, labelled in zip(curve["energy"], curve["labelled"], strict=True)
    ]
    assert np.ptp(drawn) < 10.0


def curve_of(doc: RelaxationDoc) -> dict[str, Any]:
    curve = details(doc)["curve"]
    assert isinstance(curve, dict)
    return curve


def test_ends_are_the_nearest_image_of_the_start() -> None:
    relaxation = by_bfgs(slab())
    doc = named(relaxation, "BFGS", "wrapped")
    wrapped = doc.structure.copy()
    assert isinstance(wrapped, Structure)
    wrapped.translate_sites([8], [1, 0, 0], to_unit_cell=False)
    held = details(doc.model_copy(update={"structure": wrapped}))["atoms"]
    assert isinstance(held, dict)
    start = to_ase(doc.initial_structure)
    ways = np.array(held["end"]) - np.array(held["start"])
    shortest, _ = find_mic(ways, start.cell, start.pbc)
    assert ways == pytest.approx(shortest, abs=1e-9)
    assert np.array(held["start"]) == pytest.approx(start.positions, abs=5.1e-4)  # 1 mÅ
    assert (held["fixed"], held["adsorbate"]) == ([0, 1, 2, 3], [8])


def test_a_slab_stands_upright_wherever_its_vacuum_is() -> None:
    straight = slab()
    turned = straight.copy()
    turned.rotate(70, (1, 2, 0.3), rotate_cell=True)
    turned.set_cell(turned.cell[[2, 0, 1]])
    turned.pbc = turned.pbc[[2, 0, 1]]
    pictures = []
    for start in (straight, turned):
        held = details(named(by_bfgs(start, steps=1), "BFGS", "slab"))["atoms"]
        assert isinstance(held, dict)
        pictures.append(held)
    for shown in ("start", "end"):
        level, other = (np.array(each[shown])[:, 2] for each in pictures)
        assert other - other.min() == pytest.approx(level - level.min(), abs=1.1e-3)
    assert np.linalg.det(pictures[1]["cell"]) == pytest.approx(straight.cell.volume, rel=1e-3)


def test_a_molecule_has_no_cell(blocks: Blocks) -> None:
    assert blocks.details(10)["atoms"]["cell"] is None
    assert blocks.details(0)["atoms"]["cell"] is not None
    assert blocks.details(9)["calls"]["step"] == []  # never answered
    assert blocks.rows[9]["energy"] is None


def test_no_details_leaves_them_out(tmp_path: Path) -> None:
    docs, comparisons = few()
    whole = report_of(docs, comparisons, tmp_path / "whole.html")
    short = report_of(docs, comparisons, tmp_path / "short.html", detailed=False)
    held = Blocks(short.read_text(encoding="utf-8"))
    assert not held.study["detailed"]
    assert not [name for attributes, _ in held.scripts if (name := attributes.get("id")) == "d0"]
    assert short.stat().st_size < whole.stat().st_size


def test_every_field_of_a_row_is_plain_json() -> None:
    docs, _ = few()
    assert json.loads(json.dumps(asdict(row_of(docs[0], "k", None))))["uuid"] == docs[0].uuid
