"""What is counted of a study's methods, against the numbers that it is of, counted anew."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from io import StringIO
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetuna_flows.reasons import FailureReason, Integrity
from finetuna_flows.results.documents import ComparisonDoc, ComparisonRow
from finetuna_flows.results.tables.bootstrap import Difference
from finetuna_flows.results.tables.counting import Count
from finetuna_flows.results.tables.methods import MethodSummary, summarize
from finetuna_flows.results.tables.pairs import paired
from finetuna_flows.results.tables.render import Part, StudyTables
from finetuna_flows.results.tables.statistics import Mean, Share
from finetuna_flows.results.tables.study import study_of
from tests.results.studies import Run, comparison, comparisons_of, three_systems


@pytest.fixture(scope="module")
def three() -> list[ComparisonDoc]:
    return three_systems()


def of(method: str, summaries: Sequence[MethodSummary]) -> MethodSummary:
    return {each.method: each for each in summaries}[method]


def test_calls_are_means_of_the_ratios_of_single_systems(three: list[ComparisonDoc]) -> None:
    learner = of("learner", summarize(study_of(three)))
    ratios = [11 / 101, 5 / 41, 21 / 201]
    assert learner.calls_ratio.value == pytest.approx(fmean(ratios))
    assert learner.calls_ratio.error == pytest.approx(stdev(ratios) / 3**0.5)
    assert learner.calls.value == pytest.approx(37 / 3)
    bfgs = of("BFGS", summarize(study_of(three)))
    assert bfgs.calls_ratio.n == 2
    assert bfgs.calls_ratio.value == pytest.approx(fmean([51 / 101, 31 / 41]))


def test_the_first_label_can_be_left_uncounted(three: list[ComparisonDoc]) -> None:
    learner = of("learner", summarize(study_of(three, count=Count.FRAMES_MINUS_ONE)))
    assert learner.calls_ratio.value == pytest.approx(fmean([10 / 100, 4 / 40, 20 / 200]))
    assert learner.calls_ratio.error == pytest.approx(0.0, abs=1e-15)
    assert learner.calls.value == pytest.approx(34 / 3)


def test_success_by_both_rules_and_why_it_fails(three: list[ComparisonDoc]) -> None:
    learner, bfgs = (of(name, summarize(study_of(three))) for name in ("learner", "BFGS"))
    assert (learner.lower, learner.within) == (Share(1, 3), Share(2, 3))
    assert (learner.passing, learner.strict) == (Share(3, 3), Share(2, 3))
    assert learner.converged == Share(2, 3)
    assert learner.failures == {FailureReason.NOT_CONVERGED: 1}
    assert (bfgs.passing, bfgs.strict, bfgs.converged) == (Share(1, 2), Share(1, 2), Share(2, 2))
    assert bfgs.failures == {FailureReason.HIGHER: 1, FailureReason.ANOTHER_MINIMUM: 1}
    assert bfgs.fmax == pytest.approx(0.01 * 3**0.5)


def test_the_tolerance_itself_is_within_it() -> None:
    docs = comparisons_of(
        *({"CG": Run(10), "x": Run(5, shift)} for shift in (-0.25, -0.125, 0.0, 0.125, 0.25))
    )
    loose = [doc.model_copy(update={"energy_tolerance": 0.125}) for doc in docs]
    summary = of("x", summarize(study_of(loose)))
    assert (summary.lower.count, summary.within.count) == (1, 3)


def test_what_is_left_out_is_named(three: list[ComparisonDoc]) -> None:
    lone = comparison({"CG": None, "learner": Run(7)}, 3)
    tables = StudyTables(study_of([*three, lone]))
    notes = " ".join(tables.texts[0].notes)
    assert "Not measured, for lack of the reference: s03." in notes
    assert "No relaxation by BFGS: s02, s03." in notes
    assert of("learner", tables.summaries).calls_ratio.n == 3
    assert of("learner", tables.summaries).converged == Share(3, 4)


def test_a_run_without_any_label_failed_and_saved_nothing() -> None:
    docs = comparisons_of(
        {"CG": Run(10), "x": Run(5)}, {"CG": Run(10), "x": Run(0, converged=False)}
    )
    tables = StudyTables(study_of(docs))
    summary = of("x", tables.summaries)
    assert summary.calls_ratio == Mean(0.5, None, 1)
    assert (summary.passing, summary.strict) == (Share(1, 2), Share(1, 2))
    assert (summary.lower, summary.within) == (Share(0, 2), Share(1, 2))
    assert summary.failures == {FailureReason.NO_ENERGY: 1}
    assert "No calls to compare of x: s01." in tables.texts[0].notes
    assert tables.records(Part.SYSTEMS)[3]["success"] is False
    (pair,) = tables.pairs
    assert (pair.calls.n, pair.energy.n) == (1, 1)


def test_energies_of_another_level_are_not_compared() -> None:
    docs = comparisons_of(
        {"CG": Run(10), "x": Run(5)}, {"CG": Run(10), "x": Run(5, 9.0, level="PBE")}
    )
    tables = StudyTables(study_of(docs))
    summary = of("x", tables.summaries)
    assert summary.calls_ratio.n == 2
    assert summary.passing == summary.strict == Share(1, 1)
    assert "Energies of x not compared (another level of theory): s01." in tables.texts[0].notes
    (pair,) = tables.pairs
    assert pair.energy == Difference(0.0, None, None, 1)


def test_energies_with_other_atoms_fixed_are_not_compared() -> None:
    docs = comparisons_of(*({"CG": Run(10), "x": Run(5)} for _ in range(2)))
    rows = [list(doc.rows) for doc in docs]
    untold = {"energy_difference": None, "passes_energy_test": None, "strict_success": None}
    rows[1][1] = rows[1][1].model_copy(update=untold)
    tables = StudyTables(study_of(_with(docs, rows)))
    assert "Energies of x not compared (other atoms are fixed): s01." in tables.texts[0].notes
    (pair,) = tables.pairs
    assert (pair.calls.n, pair.energy.n) == (2, 1)


def test_a_reference_without_an_energy_is_told() -> None:
    docs = comparisons_of({"CG": Run(0, converged=False), "x": Run(5)})
    notes = StudyTables(study_of(docs)).texts[0].notes
    assert "Energies of x not compared (the reference has none): s00." in notes


def test_a_reference_of_a_single_label_has_nothing_to_count() -> None:
    docs = comparisons_of({"CG": Run(1), "x": Run(1)})
    summary = of("x", summarize(study_of(docs, count=Count.FRAMES_MINUS_ONE)))
    assert summary.calls_ratio == Mean(None, None, 0)
    (pair,) = paired(study_of(docs, count=Count.FRAMES_MINUS_ONE))
    assert (pair.calls.value, pair.verdict) == (0.0, None)


def test_costs_are_shown_where_they_are_known(three: list[ComparisonDoc]) -> None:
    assert [each.label for each in StudyTables(study_of(three)).texts] == ["methods", "failures"]
    docs = comparisons_of(
        {"CG": Run(10, scf=20, seconds=100), "x": Run(5, scf=10, seconds=20)},
        {"CG": Run(10, scf=20, seconds=300), "x": Run(5, scf=20)},
    )
    tables = StudyTables(study_of(docs))
    summary = of("x", tables.summaries)
    assert summary.scf_ratio.value == pytest.approx(fmean([0.25, 0.5]))
    assert summary.scf_cycles.value == pytest.approx(75)
    time = summary.wall_time
    assert (time.total, time.ratio) == (Mean(50.0, None, 1), Mean(0.2, None, 1))
    parts = [each.value or 0 for each in (time.parent, time.tuning, time.prediction, time.overhead)]
    assert sum(parts) == time.total.value
    assert [each.label for each in tables.texts] == ["methods", "costs"]
    assert tables.texts[1].rows[1] == (
        *("x", "2", "38 ± 12", "75.0", "1", "20.0 ± –", "50.0"),
        *("20.0", "10.0", "10.0", "10.0"),
    )


def test_costs_say_of_how_many_they_are() -> None:
    docs = comparisons_of(
        {"CG": Run(10, seconds=100), "x": Run(5, seconds=20)},
        {"CG": Run(10), "x": Run(5, seconds=40)},
    )
    rows = [list(doc.rows) for doc in docs]
    assert rows[0][1].timings is not None
    untold = rows[0][1].timings.model_copy(update={"prediction": 0.0, "overhead": 20.0})
    rows[0][1] = rows[0][1].model_copy(update={"timings": untold})
    tables = StudyTables(study_of(_with(docs, rows)))
    summary = of("x", tables.summaries)
    assert (summary.wall_time.ratio.n, summary.wall_time.prediction) == (1, Mean(20.0, None, 1))
    (costs,) = (each for each in tables.texts if each.label == "costs")
    assert costs.notes[-2:] == (
        "The time of x relative to the reference's is of 1 of its 2, for lack of the reference's.",
        "Predictions by x are not timed in 1 of its 2, where they are part of the overhead.",
    )
    ends = {(row["system"], row["method"]): row for row in tables.records(Part.SYSTEMS)}
    assert ends["s00", "x"]["prediction_time_s"] is None
    assert ends["s01", "x"]["prediction_time_s"] == 20.0
    alone = StudyTables(study_of(_with(docs[:1], rows[:1])))
    assert alone.texts[1].rows[1][-2:] == ("–", "20.0")
    assert alone.records(Part.METHODS)[1]["prediction_time_s"] is None


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(3)))
def test_the_order_of_systems_changes_nothing(
    three: list[ComparisonDoc], order: Sequence[int]
) -> None:
    shuffled = [three[index] for index in order]
    one, other = (StudyTables(study_of(docs), tuple(Part)) for docs in (three, shuffled))
    assert one.json == other.json
    assert one.markdown == other.markdown


def test_methods_stand_by_what_they_cost_or_as_asked_for(three: list[ComparisonDoc]) -> None:
    assert study_of(three).methods == ("CG", "BFGS", "learner")
    assert study_of(three, methods=["learner"]).methods == ("CG", "learner")
    asked = study_of(three, methods=["learner", "CG", "BFGS"])
    assert asked.methods == ("CG", "learner", "BFGS")
    assert [each.row.method for each in asked.outcomes][:3] == ["CG", "learner", "BFGS"]


def test_systems_that_are_called_alike_are_told_apart() -> None:
    docs = [comparison({"CG": Run(9)}, index, system="O on Cu") for index in range(2)]
    names = study_of(docs).systems
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"O on Cu \(\w{6}\)", name) for name in names)


def test_a_study_refuses_what_is_not_measured_alike(three: list[ComparisonDoc]) -> None:
    with pytest.raises(ValueError, match="nothing: there is none"):
        study_of([])
    other = comparison({"CG": Run(5), "BFGS": Run(4)}, 4, reference="BFGS")
    with pytest.raises(ValueError, match=r"against BFGS within 0.02 eV, CG within 0.02 eV"):
        study_of([*three, other])
    with pytest.raises(ValueError, match=r"of one geometry \(s00, s00\)"):
        study_of([*three, three[0]])
    with pytest.raises(ValueError, match=r"names 'magic' but these comparisons hold BFGS, CG, le"):
        study_of(three, methods=["magic"])


def test_one_system_with_its_reference_alone_has_a_table() -> None:
    tables = StudyTables(study_of(comparisons_of({"CG": Run(10)})), tuple(Part))
    (row,) = tables.texts[0].rows
    assert row[:4] == ("CG", "1", "100", "10.0")
    assert tables.pairs == ()
    assert "| s00 | 10 |" in tables.markdown


def test_a_repeated_run_and_an_unconverged_reference_are_told() -> None:
    (doc,) = comparisons_of({"CG": Run(10, converged=False), "x": Run(5)})
    rows = (doc.rows[0], doc.rows[1].model_copy(update={"repeats": 2}))
    notes = StudyTables(study_of([doc.model_copy(update={"rows": rows})])).texts[0].notes
    assert "2 older relaxations by x are not counted." in notes
    assert "The reference itself is not converged: s00." in notes


CARE = {
    "Files of x are damaged, so calls may be missing: s01.": {"damaged": 2},
    "Thresholds differ: x relaxed to 0.05 eV/Å, the reference to 0.03: s01.": {
        "fmax_threshold": 0.05
    },
    "No atom is tagged as adsorbate, so whether it broke was not checked: successes of x in "
    "another, lower minimum: s01.": {
        "integrity": Integrity.NO_ADSORBATE,
        "same_minimum": False,
        "strict_success": True,
    },
}


@pytest.mark.parametrize(("said", "change"), CARE.items())
@pytest.mark.parametrize("part", Part)
def test_what_is_counted_with_care_is_told_in_every_format(
    said: str, change: dict[str, object], part: Part
) -> None:
    docs = comparisons_of(*({"CG": Run(10), "x": Run(5)} for _ in range(2)))
    usual = {"fmax_threshold": 0.03, "damaged": 0}
    rows = [[row.model_copy(update=usual) for row in doc.rows] for doc in docs]
    before = StudyTables(study_of(_with(docs, rows)), (part,))
    rows[1][1] = rows[1][1].model_copy(update=change)
    after = StudyTables(study_of(_with(docs, rows)), (part,))
    assert said in json.loads(after.json)["notes"]
    assert said in after.texts[0].notes
    assert all(said in row["cautions"] for row in csv.DictReader(StringIO(after.csv)))
    for text in (before.json, before.csv, before.markdown):
        assert not any(said.split(":")[0] in text for said in CARE)


def _with(
    docs: Sequence[ComparisonDoc], rows: Sequence[Sequence[ComparisonRow]]
) -> list[ComparisonDoc]:
    return [
        doc.model_copy(update={"rows": tuple(each)}) for doc, each in zip(docs, rows, strict=True)
    ]
