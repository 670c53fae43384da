"""Methods in pairs: differences within systems, and what is said of them in words."""

from __future__ import annotations

import csv
import json
from io import StringIO
from statistics import fmean

import numpy as np
import pytest

from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.tables.bootstrap import Difference
from finetuna_flows.results.tables.pairs import LEAST_OF_SIGNS, Contest, Outmatch, paired
from finetuna_flows.results.tables.render import Part, StudyTables
from finetuna_flows.results.tables.statistics import LEVEL, sign_test
from finetuna_flows.results.tables.study import study_of
from tests.results.studies import Run, comparisons_of, three_systems


@pytest.fixture(scope="module")
def three() -> list[ComparisonDoc]:
    return three_systems()


def test_like_methods_do_not_differ() -> None:
    docs = comparisons_of(
        *({"CG": Run(100), "a": Run(n), "b": Run(n)} for n in range(10, 22)),
    )
    pair = next(each for each in paired(study_of(docs)) if "CG" not in (each.first, each.second))
    nothing = Difference(0.0, 0.0, 0.0, 12)
    assert pair.calls == pair.calls_ratio == pair.energy == nothing
    assert (pair.fewer_calls, pair.lower_energy) == (Contest(0, 12, 0), Contest(0, 12, 0))
    assert pair.verdict == pair.energy_verdict == "not different"
    assert pair.strict == Outmatch(12, 12, 0, 0, 12)
    assert (pair.strict.p, pair.strict.verdict) == (1.0, "not different")


def test_28_and_27_of_30_are_not_different_in_words() -> None:
    failing = {"a": {3, 4}, "b": {3, 5, 6}}
    docs = comparisons_of(
        *(
            {"CG": Run(100)}
            | {
                name: Run(9, 0.1 if index in bad else 0.0, away=2.0 if index in bad else 0.0)
                for name, bad in failing.items()
            }
            for index in range(30)
        )
    )
    tables = StudyTables(study_of(docs, methods=["b", "a"]), (Part.PAIRS,))
    (successes,) = (each for each in tables.texts if each.label == "pairs-successes")
    assert successes.rows == (
        ("a : b", "30", "28 : 27", "1.000", "not different", "28 : 27", "1.000", "not different"),
    )


@pytest.mark.parametrize(
    ("outmatch", "p", "words"),
    [
        (Outmatch(30, 10, 20, 0, 30), 2 / 2**20, "more often"),
        (Outmatch(10, 30, 0, 20, 30), 2 / 2**20, "less often"),
        (Outmatch(5, 0, 5, 0, 5), 0.0625, "too few systems"),
        (Outmatch(1, 1, 0, 0, 1), 1.0, "too few systems"),
        (Outmatch(6, 1, 5, 0, 6), 0.0625, "not different"),
        (Outmatch(6, 0, 6, 0, 6), 0.03125, "more often"),
        (Outmatch(0, 0, 0, 0, 0), None, None),
    ],
)
def test_successes_in_words(outmatch: Outmatch, p: float | None, words: str | None) -> None:
    assert (outmatch.p, outmatch.verdict) == (p, words)


def test_differences_of_pairs_are_those_within_systems(three: list[ComparisonDoc]) -> None:
    pairs = {(each.first, each.second): each for each in paired(study_of(three))}
    assert set(pairs) == {("BFGS", "CG"), ("learner", "CG"), ("learner", "BFGS")}
    pair = pairs["learner", "BFGS"]
    assert (pair.calls.value, pair.calls.n) == (-33.0, 2)  # of -40 and -26
    ratios = [11 / 101 - 51 / 101, 5 / 41 - 31 / 41]
    assert pair.calls_ratio.value == pytest.approx(fmean(ratios))
    assert pair.energy.value == pytest.approx(fmean([-0.001, -0.53]))
    assert pair.lower_energy == Contest(1, 1, 0)
    assert pair.verdict == "too few systems"
    assert pairs["learner", "CG"].strict is None


@pytest.mark.parametrize(("calls", "words"), [(50, "fewer"), (200, "more"), (100, "not different")])
def test_calls_in_words(calls: int, words: str) -> None:
    noise = np.random.default_rng(0).integers(-9, 10, size=12)
    docs = comparisons_of(*({"CG": Run(100), "x": Run(calls + int(each))} for each in noise))
    (pair,) = paired(study_of(docs))
    assert pair.verdict == words


def test_one_lower_structure_does_not_make_a_method_lower() -> None:
    shifts = [*[-0.001] * 14, -9.0]
    docs = comparisons_of(*({"CG": Run(9), "x": Run(9, shift)} for shift in shifts))
    (pair,) = paired(study_of(docs))
    assert pair.energy.value == pytest.approx(fmean(shifts))
    assert pair.lower_energy == Contest(1, 14, 0)
    assert pair.energy_verdict == "not different"
    lower = comparisons_of(*({"CG": Run(9), "x": Run(9, -0.1)} for _ in range(6)))
    assert paired(study_of(lower))[0].energy_verdict == "lower"


def test_of_few_systems_no_words_say_that_methods_are_alike() -> None:
    assert sign_test(LEAST_OF_SIGNS, 0) < 1 - LEVEL <= sign_test(LEAST_OF_SIGNS - 1, 0)
    few = comparisons_of(*({"CG": Run(9), "a": Run(5), "b": Run(5)} for _ in range(5)))
    pair = paired(study_of(few), against="a")[1]
    assert pair.strict is not None
    assert pair.energy_verdict == pair.strict.verdict == pair.verdict == "too few systems"
    tables = StudyTables(study_of(few), (Part.PAIRS,))
    (*records,) = csv.DictReader(StringIO(tables.csv))
    held = json.loads(tables.json)
    for record in (*records, *held["pairs"]):
        assert record["energy_in_words"] == "too few systems"
        assert record["strict_success_in_words"] in ("too few systems", "", None)
    said = "Too few systems: fewer than 10 for calls or 6 for the tests"
    assert any(said in note for note in held["notes"])
    assert all(said in each["cautions"] for each in records)
    assert all(any(said in note for note in each.notes) for each in tables.texts)


def test_pairs_can_be_against_one_method(three: list[ComparisonDoc]) -> None:
    pairs = paired(study_of(three), against="BFGS")
    assert [(each.first, each.second) for each in pairs] == [("CG", "BFGS"), ("learner", "BFGS")]
    with pytest.raises(ValueError, match="`against` is 'magic' but must be one of CG, BFGS, lear"):
        paired(study_of(three), against="magic")
