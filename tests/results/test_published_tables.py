"""Tables of the twenty published systems, against their recount (VASP, OC20 systems)."""

from __future__ import annotations

import json
from statistics import fmean, stdev

import pytest

from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.tables.counting import Count
from finetuna_flows.results.tables.methods import summarize
from finetuna_flows.results.tables.pairs import Contest, paired
from finetuna_flows.results.tables.render import Part, StudyTables
from finetuna_flows.results.tables.study import study_of
from tests.results.published import DATA, published_comparisons, reference_table

pytestmark = [
    pytest.mark.slow,
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.exists(), reason=f"no published data in {DATA}"),
]


@pytest.fixture(scope="module")
def published() -> list[ComparisonDoc]:
    return published_comparisons()


def test_rows_of_table_1_are_those_counted_by_hand(published: list[ComparisonDoc]) -> None:
    summaries = summarize(study_of(published))
    assert {each.method for each in summaries} == {
        method for rows in reference_table().values() for method in rows
    }
    for summary in summaries:
        rows = [
            (row, cg)
            for methods in reference_table().values()
            if (row := methods[summary.method]) and (cg := methods["VASP_CG"])
        ]
        calls = [row["dft_calls"] / cg["dft_calls"] for row, cg in rows]
        shifts = [row["e_final"] - cg["e_final"] for row, cg in rows]
        assert summary.calls_ratio.n == len(rows)
        assert summary.calls_ratio.value == pytest.approx(fmean(calls), rel=1e-12)
        assert summary.calls_ratio.error == pytest.approx(stdev(calls) / len(rows) ** 0.5)
        assert summary.lower.count == sum(shift < -0.02 for shift in shifts)
        assert summary.within.count == sum(abs(shift) <= 0.02 for shift in shifts)
        assert summary.passing.count == sum(shift <= 0.02 for shift in shifts)
        assert summary.converged.count == sum(row["fmax_final"] <= 0.03 for row, _ in rows)


def test_by_the_other_rule_both_lose_one(published: list[ComparisonDoc]) -> None:
    summaries = summarize(study_of(published, count=Count.FRAMES_MINUS_ONE))
    for summary in summaries:
        ratios = [
            (row["dft_calls"] - 1) / (cg["dft_calls"] - 1)
            for methods in reference_table().values()
            if (row := methods[summary.method]) and (cg := methods["VASP_CG"])
        ]
        assert summary.calls_ratio.value == pytest.approx(fmean(ratios), rel=1e-12)


def test_every_system_is_as_recounted(published: list[ComparisonDoc]) -> None:
    records = json.loads(StudyTables(study_of(published), (Part.SYSTEMS,)).json)["systems"]
    assert len(records) == 97
    for record in records:
        row = reference_table()[record["system"].removeprefix("random")][record["method"]]
        assert row is not None
        assert record["parent_calls"] == row["dft_calls"]
        assert record["parent_calls_percent"] == pytest.approx(row["pct_of_cg"], abs=0.005)
        assert record["energy_eV"] == pytest.approx(row["e_final"], abs=1e-6)
        assert record["energy_difference_eV"] == pytest.approx(row["e_minus_cg"], abs=1e-6)
        assert record["fmax_eV_per_A"] == pytest.approx(row["fmax_final"], abs=1e-5)


def test_the_learner_saves_calls_and_succeeds_as_often(published: list[ComparisonDoc]) -> None:
    pairs = {each.first: each for each in paired(study_of(published), against="ASE_BFGS")}
    learner = pairs["K_steps"]
    assert learner.verdict == "fewer"
    assert learner.fewer_calls == Contest(17, 0, 0)
    assert learner.strict is not None
    assert learner.strict.verdict == "not different"
