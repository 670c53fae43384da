"""What the comparisons of a store say of each of its relaxations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobflow.core.store import JobStore

from finetuna_flows.errors import StoreError
from finetuna_flows.results.compare import ENERGY_TOLERANCE
from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.study import choose_reference, comparisons, method_names
from finetuna_flows.results.tables.counting import Count
from finetuna_flows.results.tables.study import Outcome, Study, study_of


@dataclass(frozen=True)
class Measured:
    """A study, and where each of its relaxations stands in it."""

    study: Study | None
    """None where nothing is known as a reference."""
    outcomes: Mapping[str, Outcome]
    """By uuid; an older relaxation by the same method has none."""
    keys: Mapping[str, str]
    """Of the system, by uuid."""


NOTHING = Measured(None, {}, {})


def measured(
    store: JobStore,
    reference: str | None,
    *,
    tag: str | None = None,
    count: Count = Count.FRAMES,
    energy_tolerance: float = ENERGY_TOLERANCE,
) -> Measured:
    """Compare what is in a connected store; without a reference nothing is compared.

    Parameters
    ----------
    store
        Comparisons are kept beside its documents.
    reference
        Name of the method that the others are measured against. None: VASP CG, else BFGS, else
        nothing is compared.
    tag
        Only relaxations with this tag.
    count
        Which parent calls count in ratios.
    energy_tolerance
        eV above the reference that still counts as success.

    Raises
    ------
    StoreError
        If a reference is named that no relaxation has.
    """
    if reference is None:
        names = method_names(store.docs_store, {"output.tags": tag} if tag is not None else None)
        try:
            reference = choose_reference(names)
        except StoreError:  # it names what there is; here it all is shown anyway
            return NOTHING
    found = comparisons(store, reference, tag=tag, energy_tolerance=energy_tolerance)
    return measured_by(found, count)


def measured_by(found: Sequence[ComparisonDoc], count: Count = Count.FRAMES) -> Measured:
    """Arrange comparisons, one a system, by relaxation."""
    if not found:
        return NOTHING
    study = study_of(found, count=count)
    return Measured(
        study,
        {each.row.uuid: each for each in study.outcomes if each.row.uuid is not None},
        {row.uuid: doc.system_key for doc in found for row in doc.rows if row.uuid is not None},
    )
