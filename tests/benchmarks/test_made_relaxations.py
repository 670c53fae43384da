"""Made-up relaxations are documents like any other, and their comparisons speak of them."""

from __future__ import annotations

from benchmarks.made_relaxations import METHODS, REFERENCE, comparisons, made
from finetuna_flows.results.document_parts import Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.portable import to_ase
from finetuna_flows.structures.fingerprint import start_key

NUMBER = 2 * len(METHODS)


def test_they_are_whole_documents() -> None:
    for doc in made(NUMBER, whole=True):
        assert RelaxationDoc.model_validate_json(doc.model_dump_json()).uuid == doc.uuid
        assert isinstance(doc.trajectory, Trajectory)
        assert isinstance(doc.ledger, tuple)
        assert len(doc.trajectory.positions) == len(doc.trajectory.energies)
        asked = [step for step, labelled in enumerate(doc.trajectory.labelled) if labelled]
        assert [entry.step for entry in doc.ledger] == asked
        assert 3 <= doc.parent_calls == len(doc.ledger) <= METHODS[doc.name]


def test_comparisons_are_of_them() -> None:
    docs = {doc.uuid: doc for doc in made(NUMBER)}
    found = comparisons(NUMBER)
    assert len(found) == 2
    rows = [(each, row) for each in found for row in each.rows]
    assert {row.uuid for _, row in rows} == docs.keys()
    for comparison, row in rows:
        assert row.uuid is not None
        doc = docs[row.uuid]
        assert (row.method, row.parent_calls, row.energy) == (
            doc.name,
            doc.parent_calls,
            doc.energy,
        )
        assert comparison.reference_method == REFERENCE
        assert start_key(to_ase(doc.initial_structure)) == comparison.system_key


def test_they_are_always_the_same_and_all_different() -> None:
    first, again = ([doc.ledger for doc in made(NUMBER)] for _ in range(2))
    assert first == again
    assert len({str(each) for each in first}) == NUMBER
