"""A document says what the run did, and comes back as it was from JSON and from jobflow."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule
from ase.constraints import FixAtoms
from monty.json import MontyDecoder, MontyEncoder
from pydantic import ValidationError
from pymatgen.core.structure import Molecule, Structure

from finetuna_flows.geometry import fmax, free_components
from finetuna_flows.parents.specs import Continuation
from finetuna_flows.queries import AnyOf, EveryK, FirstN
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Relaxation
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.portable import metadata, to_ase, to_pymatgen
from tests.results.made import SPEC, asking_seldom, by_bfgs, never_answered, slab, water


@pytest.fixture(scope="module")
def online() -> Relaxation:
    return asking_seldom(slab())


@pytest.fixture(scope="module")
def doc(online: Relaxation) -> RelaxationDoc:
    return build_relaxation_doc(
        online, name="O on Cu(111)", spec=SPEC, tags=["test"], dir_name="runs/1"
    )


def test_it_is_found_by_emmets_fields(doc: RelaxationDoc) -> None:
    assert (doc.formula_pretty, doc.chemsys, doc.nsites, doc.nelements) == ("Cu8O", "Cu-O", 9, 2)
    assert isinstance(doc.structure, Structure)
    assert doc.composition == doc.structure.composition
    assert doc.volume == pytest.approx(doc.structure.volume)
    assert doc.state.value == "successful"
    assert doc.tags == ("test",)
    assert re.fullmatch(r".+:/.+/runs/1", doc.dir_name or "")


def test_the_endpoint_is_the_parents(doc: RelaxationDoc, online: Relaxation) -> None:
    label = online.steps[-1].label
    assert label is not None
    assert doc.energy == label.energy
    assert doc.energy_per_atom == pytest.approx(label.energy / 9)
    assert doc.free_energy == label.free_energy
    np.testing.assert_array_equal(doc.forces, label.forces)
    assert doc.fmax == fmax(label.forces, free_components(online.start)) <= doc.fmax_threshold
    assert doc.converged
    assert doc.stop_sentence == "the parent's own forces are below the threshold"
    assert doc.integrity_sentence == "the adsorbate kept its bonds and stayed on the surface"


def test_constraints_and_tags_survive(doc: RelaxationDoc, online: Relaxation) -> None:
    for structure, expected in (
        (doc.structure, online.final),
        (doc.initial_structure, online.start),
    ):
        atoms = to_ase(structure)
        np.testing.assert_allclose(atoms.positions, expected.positions, atol=1e-9)
        np.testing.assert_array_equal(atoms.get_tags(), expected.get_tags())
        np.testing.assert_array_equal(free_components(atoms), free_components(expected))


def test_system_adsorbate_and_mode_of_the_parent_are_said(doc: RelaxationDoc) -> None:
    assert (doc.system, doc.adsorbate, doc.parent_mode) == (None, "O", "restart")
    start = water()
    start.info["system"] = "a molecule"
    twins: dict[str, object] = {"parent": {"parent": {"continuation": "kept"}}}
    bare = build_relaxation_doc(by_bfgs(start), name="BFGS", spec=twins)
    assert (bare.system, bare.adsorbate, bare.parent_mode) == ("a molecule", None, "kept")


def test_errors_of_predicted_forces_are_kept_before_and_after_tuning(
    doc: RelaxationDoc, online: Relaxation
) -> None:
    entries = doc.ledger
    assert isinstance(entries, tuple)
    free = free_components(online.start)
    for entry, step in zip(entries, online.labelled, strict=True):
        assert step.label is not None
        # made to be a tenth too large
        expected = 0.1 * np.sqrt(np.mean(step.label.forces[free] ** 2))
        assert entry.force_error == pytest.approx(expected)
        assert entry.tuned_force_error == 0.1
    alone = build_relaxation_doc(by_bfgs(slab()), name="BFGS", spec={}).ledger
    assert isinstance(alone, tuple)
    assert {(each.force_error, each.tuned_force_error) for each in alone} == {(None, None)}


def test_calls_are_counted_by_reason(doc: RelaxationDoc, online: Relaxation) -> None:
    calls = len(online.labelled)
    assert 1 < calls < len(online.steps)
    assert (doc.parent_calls, doc.replayed_calls, doc.n_steps) == (calls, 1, len(online.steps))
    assert doc.scf_cycles == 10 * calls
    assert doc.query_reasons == {QueryReason.FIRST: 1, QueryReason.EVERY_K: calls}


def test_times_add_up(doc: RelaxationDoc, online: Relaxation) -> None:
    calls, steps = len(online.labelled), len(online.steps)
    times = doc.timings
    assert times.parent == pytest.approx(2.0 * calls)
    assert times.replayed == pytest.approx(2.0)
    assert times.tuning == pytest.approx(0.3 * calls)
    assert times.prediction == pytest.approx(0.05 * steps)
    # 2.4 - 2.0 - 0.3 - 0.05 where labelled, less where the parent's time is of another run
    first = 2.4 - 0.3 - 0.05
    assert times.overhead == pytest.approx(first + 0.05 * (calls - 1) + 0.01 * (steps - calls))
    assert times.total == times.parent + times.tuning + times.prediction + times.overhead


def test_the_ledger_has_one_entry_for_each_call(doc: RelaxationDoc, online: Relaxation) -> None:
    assert isinstance(doc.ledger, tuple)
    assert [entry.step for entry in doc.ledger] == [step.index for step in online.labelled]
    assert [entry.index for entry in doc.ledger] == list(range(len(online.labelled)))
    for entry in doc.ledger:
        assert entry.predicted_fmax == pytest.approx(1.1 * entry.fmax)
        assert entry.predicted_energy == pytest.approx(entry.energy + 0.1)
    assert [entry.replayed for entry in doc.ledger][:2] == [True, False]


def test_the_trajectory_has_every_step(doc: RelaxationDoc, online: Relaxation) -> None:
    way = doc.trajectory
    assert isinstance(way, Trajectory)
    np.testing.assert_array_equal(way.positions, [step.positions for step in online.steps])
    np.testing.assert_array_equal(way.forces, [step.forces for step in online.steps])
    np.testing.assert_array_equal(way.energies, [step.energy for step in online.steps])
    np.testing.assert_array_equal(way.free, free_components(online.start))
    assert way.symbols == tuple(online.start.symbols)
    assert sum(way.labelled) == doc.parent_calls
    assert way.predicted_spread == pytest.approx([0.3 * 3**0.5] * doc.n_steps)
    assert way.fmax[-1] == doc.fmax


def test_a_parent_driven_run_has_no_predictions() -> None:
    doc = build_relaxation_doc(by_bfgs(slab()), name="BFGS", spec={})
    assert isinstance(doc.trajectory, Trajectory)
    assert set(doc.trajectory.predicted_fmax) == {None}
    assert set(doc.trajectory.predicted_spread) == {None}
    assert doc.query_reasons == {QueryReason.PARENT_DRIVEN: doc.parent_calls}
    assert doc.timings.overhead == pytest.approx(0.5 * doc.n_steps)


def test_a_run_without_any_label_is_a_failure_without_numbers() -> None:
    doc = build_relaxation_doc(never_answered(slab()), name="too slow", spec={})
    assert (doc.state.value, doc.converged, doc.parent_calls) == ("failed", False, 0)
    assert (doc.energy, doc.fmax, doc.forces, doc.free_energy) == (None, None, None, None)
    assert doc.structure == doc.initial_structure
    assert doc.stop_sentence == "the allowed wall time is used up"


def test_it_comes_back_from_json(doc: RelaxationDoc) -> None:
    text = json.dumps(doc, cls=MontyEncoder)
    assert MontyDecoder().decode(text) == doc
    assert RelaxationDoc.model_validate_json(doc.model_dump_json()) == doc


def test_the_spec_stays_plain_json_and_can_be_rebuilt(doc: RelaxationDoc) -> None:
    back = MontyDecoder().decode(json.dumps(doc, cls=MontyEncoder))
    assert back.spec == doc.spec == json.loads(json.dumps(doc.spec))
    spec = MontyDecoder().process_decoded(back.spec)
    assert spec["criterion"] == AnyOf((FirstN(), EveryK(5)))
    assert spec["parent"].continuation is Continuation.RESTART


def test_it_is_frozen_and_knows_its_fields(doc: RelaxationDoc) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        doc.energy = 0.0  # type: ignore[misc]  # what is refused
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        RelaxationDoc.model_validate({**doc.model_dump(), "enegry": 0.0})


def test_every_field_is_described_with_its_unit() -> None:
    described = {name: field.description for name, field in RelaxationDoc.model_fields.items()}
    assert all(text or name == "nelements" for name, text in described.items())
    for name in ("energy", "forces", "fmax", "fmax_threshold", "free_energy"):
        assert "eV" in (described[name] or "")


def test_times_are_in_utc(doc: RelaxationDoc) -> None:
    naive = {**doc.model_dump(), "completed_at": doc.completed_at.replace(tzinfo=None)}
    assert RelaxationDoc.model_validate(naive).completed_at == doc.completed_at


def test_a_molecule_is_a_molecule() -> None:
    relaxation = by_bfgs(water())
    doc = build_relaxation_doc(relaxation, name="water", spec={})
    assert isinstance(doc.structure, Molecule)
    assert (doc.formula_pretty, doc.chemsys, doc.nsites, doc.volume) == ("H2O", "H-O", 3, None)
    assert MontyDecoder().decode(json.dumps(doc, cls=MontyEncoder)) == doc
    atoms = to_ase(doc.structure)
    np.testing.assert_allclose(atoms.positions, relaxation.final.positions)
    np.testing.assert_array_equal(free_components(atoms), free_components(water()))


def test_a_radical_needs_no_spin() -> None:
    radical = to_pymatgen(molecule("OH"))
    assert isinstance(radical, Molecule)
    assert type(radical).from_dict(json.loads(json.dumps(radical.as_dict()))) == radical


def test_a_slab_without_a_third_vector_keeps_its_place() -> None:
    atoms: Atoms = fcc111("Al", (1, 1, 2))
    atoms.pbc = (True, True, False)
    atoms.set_constraint(FixAtoms([0]))
    assert atoms.cell.rank == 2
    structure = to_pymatgen(atoms)
    assert isinstance(structure, Structure)
    assert structure.lattice.pbc == (True, True, False)
    np.testing.assert_allclose(to_ase(structure).positions, atoms.positions, atol=1e-9)
    assert metadata(structure)["chemsys"] == "Al"
