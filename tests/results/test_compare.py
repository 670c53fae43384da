"""A comparison measures what can be measured and says what cannot."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Structure

from finetuna_flows.reasons import FailureReason, Integrity
from finetuna_flows.records import Relaxation
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.compare import compare
from finetuna_flows.results.documents import RelaxationDoc
from tests.results.made import asking_seldom, by_bfgs, never_answered, slab, water


def document(relaxation: Relaxation) -> RelaxationDoc:
    return build_relaxation_doc(relaxation, name="test", spec={})


def named(*docs: RelaxationDoc) -> dict[str, RelaxationDoc | None]:
    return {doc.method: doc for doc in docs}


@pytest.fixture(scope="module")
def bfgs() -> RelaxationDoc:
    return document(by_bfgs(slab()))


@pytest.fixture(scope="module")
def online() -> RelaxationDoc:
    return document(asking_seldom(slab()))


def test_calls_and_energies_are_measured_against_the_reference(
    bfgs: RelaxationDoc, online: RelaxationDoc
) -> None:
    result = compare(named(online, bfgs), "BFGS", name="O on Cu")
    assert [row.method for row in result.rows] == ["BFGS", "online"]
    assert (result.formula_pretty, result.name) == ("Cu8O", "O on Cu")
    reference, row = result.rows
    assert reference.parent_calls_ratio == 1.0
    assert reference.energy_difference == 0.0
    assert (row.parent_calls, row.scf_cycles) == (online.parent_calls, online.scf_cycles)
    assert row.parent_calls_ratio == pytest.approx(online.parent_calls / bfgs.parent_calls)
    assert row.energy_difference == pytest.approx(0.0, abs=1e-12)  # the same way was recorded
    assert row.same_minimum
    assert row.passes_energy_test
    assert row.rmsd == pytest.approx(0.0, abs=1e-9)
    assert row.timings == online.timings
    assert row.scf_cycles_ratio == pytest.approx(row.parent_calls_ratio)  # ten a call
    assert row.note == ""
    assert result.row("online") is row


def test_another_minimum_is_named_though_its_energy_passes(bfgs: RelaxationDoc) -> None:
    relaxation = by_bfgs(slab(), method="elsewhere")
    last = relaxation.steps[-1]
    away = last.positions.copy()
    away[-1, 2] += 3.0
    moved_away = replace(relaxation, steps=(*relaxation.steps[:-1], replace(last, positions=away)))
    row = compare(named(bfgs, document(moved_away)), "BFGS").row("elsewhere")
    assert row.passes_energy_test
    assert row.same_minimum is False
    assert row.rmsd == pytest.approx(3.0 / 5**0.5, rel=1e-6)  # one of five free atoms


def test_the_energy_test_is_one_sided(bfgs: RelaxationDoc) -> None:
    energy = bfgs.energy or 0.0
    docs = [
        bfgs.model_copy(update={"method": f"{shift:+}", "energy": energy + shift})
        for shift in (-2.8, 0.019, 0.021)
    ]
    rows = compare(named(bfgs, *docs), "BFGS").rows
    assert [row.passes_energy_test for row in rows] == [True, True, True, False]


@pytest.mark.parametrize(
    ("shift", "away", "changed", "failures"),
    [
        (0.0, 0.0, {}, []),
        (0.019, 0.0, {}, []),
        (0.021, 0.0, {}, ["higher"]),
        (0.0, 0.0, {"converged": False}, ["not_converged"]),
        (0.01, 1.0, {}, ["another_minimum"]),
        (-0.5, 1.0, {}, []),
        (-1e-12, 1.0, {}, ["another_minimum"]),  # as low but for rounding is not lower
        (-2.8, 1.0, {"integrity": Integrity.DISSOCIATED}, ["adsorbate_changed"]),
        (-0.5, 1.0, {"integrity": Integrity.NO_ADSORBATE}, []),
        (0.5, 1.0, {"converged": False}, ["not_converged", "higher", "another_minimum"]),
    ],
)
def test_the_strict_rule_wants_the_same_or_a_verified_lower_minimum(
    bfgs: RelaxationDoc, shift: float, away: float, changed: dict[str, Any], failures: list[str]
) -> None:
    structure = bfgs.structure.copy()
    assert isinstance(structure, Structure)
    structure.translate_sites([len(structure) - 1], [0, 0, away], frac_coords=False)
    update = {"structure": structure, "energy": (bfgs.energy or 0.0) + shift, **changed}
    row = compare({"BFGS": bfgs, "other": bfgs.model_copy(update=update)}, "BFGS").row("other")
    assert [reason.value for reason in row.failures] == failures
    assert row.strict_success is (not failures)
    assert row.same_minimum is (away == 0.0)


def test_a_method_without_a_relaxation_has_a_row(bfgs: RelaxationDoc) -> None:
    result = compare({"BFGS": bfgs, "online": None}, "BFGS")
    assert result.row("online").note == "missing: it ended in an error, or was never run"
    assert [row.state.value for row in result.rows] == ["successful", "error"]


def test_without_a_reference_nothing_is_measured(online: RelaxationDoc) -> None:
    result = compare({"online": online, "BFGS": None}, "BFGS")
    row = result.row("online")
    assert (row.parent_calls_ratio, row.energy_difference, row.same_minimum) == (None, None, None)
    assert row.note == "the reference is missing"
    assert result.rows[0].note.startswith("missing")


def test_with_nothing_at_all_the_rows_still_say_so() -> None:
    result = compare({"online": None}, "BFGS")
    assert [row.note[:7] for row in result.rows] == ["missing", "missing"]
    assert result.initial_structure is None
    assert result.formula_pretty is None


def test_a_looser_threshold_is_told_and_no_strict_success(bfgs: RelaxationDoc) -> None:
    assert bfgs.fmax is not None
    strict = bfgs.model_copy(update={"fmax_threshold": bfgs.fmax / 2})
    row = compare({"BFGS": strict, "other": bfgs}, "BFGS").row("other")
    assert row.converged
    assert row.failures == (FailureReason.NOT_CONVERGED,)
    assert "its threshold is 0.05 eV/Å, the reference's 0.0" in row.note
    assert (row.fmax_threshold, row.damaged) == (0.05, 0)


def test_energies_with_other_atoms_fixed_are_not_compared(bfgs: RelaxationDoc) -> None:
    start = slab()
    start.set_constraint()
    other = document(by_bfgs(start, method="free"))
    row = compare(named(bfgs, other), "BFGS").row("free")
    assert (row.energy_difference, row.strict_success) == (None, None)
    assert "other atoms are fixed" in row.note
    assert row.parent_calls_ratio is not None


def test_damaged_files_are_told(bfgs: RelaxationDoc) -> None:
    cut = bfgs.model_copy(update={"damaged": ("run.traj frame 3: …", "run.traj frame 9: …")})
    (row,) = compare({"BFGS": cut}, "BFGS").rows
    assert row.note == "2 parts of its files were damaged, so calls may be missing"


def test_an_unconverged_reference_is_told() -> None:
    short = document(by_bfgs(slab(), steps=2))
    result = compare(named(short, document(asking_seldom(slab()))), "BFGS")
    assert result.rows[0].note == "not converged: the allowed number of steps is used up"
    assert result.row("online").note == "the reference is not converged"


def test_a_run_without_labels_is_a_failed_row(bfgs: RelaxationDoc) -> None:
    row = compare(named(bfgs, document(never_answered(slab()))), "BFGS").row("online")
    assert row.state.value == "failed"
    assert row.parent_calls_ratio == 0.0
    assert row.strict_success is False
    assert row.failures == (FailureReason.NO_ENERGY,)
    assert row.note == (
        "not converged: the allowed wall time is used up; "
        "no energy to compare: a parent never answered"
    )


def test_energies_of_two_levels_of_theory_are_not_compared(
    bfgs: RelaxationDoc, online: RelaxationDoc
) -> None:
    other = online.model_copy(update={"level_of_theory": "PBE"})
    row = compare(named(bfgs, other), "BFGS").row("online")
    assert (row.energy_difference, row.passes_energy_test) == (None, None)
    assert row.same_minimum
    assert "another level of theory" in row.note


def test_molecules_are_compared_too() -> None:
    result = compare(named(document(by_bfgs(water())), document(asking_seldom(water()))), "BFGS")
    assert result.row("online").same_minimum
    assert result.formula_pretty == "H2O"


def test_it_comes_back_from_json(bfgs: RelaxationDoc, online: RelaxationDoc) -> None:
    result = compare({**named(bfgs, online), "CG": None}, "BFGS")
    assert MontyDecoder().decode(json.dumps(result, cls=MontyEncoder)) == result


def test_compare_refuses_other_starts(bfgs: RelaxationDoc) -> None:
    start = slab()
    start.positions[-1, 0] += 0.01
    other = document(by_bfgs(start, method="other"))
    with pytest.raises(ValueError, match=re.escape("not from the same geometry")):
        compare(named(bfgs, other), "BFGS")
    with pytest.raises(ValueError, match=r"from Cu8O and 'online' from OH2"):
        compare(named(bfgs, document(asking_seldom(water()))), "BFGS")
