"""What the captions of all tables say: what was compared, how it was counted, what is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from finetuna_flows.reasons import Integrity
from finetuna_flows.results.documents import ComparisonRow
from finetuna_flows.results.tables.layout import named
from finetuna_flows.results.tables.methods import judged
from finetuna_flows.results.tables.pairs import LEAST, LEAST_OF_SIGNS
from finetuna_flows.results.tables.study import Outcome, Study
from finetuna_flows.vasp.level_difference import level_difference


def subject(study: Study) -> str:
    """What a title says of the study."""
    n = len(study.systems)
    return f"{n} system{'' if n == 1 else 's'} relative to {study.reference}"


def compared(study: Study) -> tuple[str, ...]:
    """The reference, the tolerance, and what counts as a call."""
    return (
        f"Reference: {study.reference}; E is the energy at the end minus the reference's, in eV, "
        f"and the tolerance {study.energy_tolerance:g} eV.",
        study.count.sentence,
    )


def rules_of_success(study: Study) -> str:
    """What the two rules ask for."""
    return (
        f"E ≤ +{study.energy_tolerance:g} is success by the one-sided rule of the FINETUNA paper; "
        "strict asks besides for convergence by the parent's own forces, to the reference's "
        "threshold too, and for the reference's minimum or a lower one with the adsorbate as it "
        "was, as far as one is tagged."
    )


def absences(study: Study) -> list[str]:
    """Which systems a table leaves out, and why; nothing where none is."""
    found = study.by_name
    said = []
    without = [name for name in study.systems if (name, study.reference) not in found]
    if without:
        said.append(f"Not measured, for lack of the reference: {named(without)}.")
    for method in study.methods[1:]:
        lacking = [name for name in study.systems if (name, method) not in found]
        if lacking:
            said.append(f"No relaxation by {method}: {named(lacking)}.")
    unmeasured = frozenset(without)
    for method in study.methods:
        of_it = [each for each in study.of(method) if each.system not in unmeasured]
        uncounted = [each.system for each in of_it if each.calls_ratio is None]
        if uncounted:
            said.append(f"No calls to compare of {method}: {named(uncounted)}.")
        said += _not_judged(study, method, of_it)
        repeated = sum(each.row.repeats for each in of_it)
        if repeated:
            said.append(f"{repeated} older relaxations by {method} are not counted.")
    return said


def cautions(study: Study) -> list[str]:
    """Which systems are counted but with care, and why; nothing where none is."""
    said = []
    unfinished = [each.system for each in study.of(study.reference) if not each.row.converged]
    if unfinished:
        said.append(f"The reference itself is not converged: {named(unfinished)}.")
    for method in study.methods:
        of_it = study.of(method)
        damaged = [each.system for each in of_it if each.row.damaged]
        if damaged:
            said.append(
                f"Files of {method} are damaged, so calls may be missing: {named(damaged)}."
            )
        said += _other_thresholds(study, method, of_it)
        unchecked = [each.system for each in of_it if _unchecked(each.row)]
        if unchecked:
            said.append(
                "No atom is tagged as adsorbate, so whether it broke was not checked: successes "
                f"of {method} in another, lower minimum: {named(unchecked)}."
            )
    return said


def words_of_pairs(pairs: int) -> str:
    """What the words beside so many pairs say, and what they do not."""
    alone = "" if pairs == 1 else f"; each of the {pairs} pairs is judged alone"
    return (
        "Not different: these systems do not tell the two apart at the 95 % level, which does not "
        f"prove them alike{alone}. Too few systems: fewer than {LEAST} for calls or "
        f"{LEAST_OF_SIGNS} for the tests, which say nothing either way."
    )


def _not_judged(study: Study, method: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Whose energies cannot be measured against the reference's, by why."""
    ends = {each.system for each in judged(outcomes)}
    found: dict[str, list[str]] = defaultdict(list)
    for each in outcomes:
        if each.system not in ends:
            reference = study.by_name[each.system, study.reference]
            found[_why_not(each.row, reference.row)].append(each.system)
    return [
        f"Energies of {method} not compared ({why}): {named(systems)}."
        for why, systems in found.items()
    ]


def _why_not(row: ComparisonRow, reference: ComparisonRow) -> str:
    if reference.energy is None:
        return "the reference has none"
    if row.level_of_theory != reference.level_of_theory:
        how = level_difference(row.level_of_theory or "", reference.level_of_theory or "")
        return f"another level of theory: they differ {how}" if how else "another level of theory"
    return "other atoms are fixed"


def _other_thresholds(study: Study, method: str, outcomes: Sequence[Outcome]) -> list[str]:
    found: dict[tuple[float, float], list[str]] = defaultdict(list)
    for each in outcomes:
        reference = study.by_name.get((each.system, study.reference))
        own = each.row.fmax_threshold
        its = reference.row.fmax_threshold if reference is not None else None
        if own is not None and its is not None and own != its:
            found[own, its].append(each.system)
    return [
        f"Thresholds differ: {method} relaxed to {own:g} eV/Å, the reference to {its:g}: "
        f"{named(systems)}."
        for (own, its), systems in found.items()
    ]


def _unchecked(row: ComparisonRow) -> bool:
    """Whether the strict rule took a lower minimum without a look at the adsorbate."""
    elsewhere = bool(row.strict_success) and row.same_minimum is False
    return elsewhere and row.integrity is Integrity.NO_ADSORBATE
