"""What the captions of all tables say: what was compared, how it was counted, what is left out."""

from __future__ import annotations

from finetuna_flows.results.tables.layout import named
from finetuna_flows.results.tables.methods import judged
from finetuna_flows.results.tables.study import Study


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
        "strict asks besides for convergence by the parent's own forces, and for the reference's "
        "minimum or a lower one with the adsorbate as it was."
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
    measured = [each for each in study.outcomes if each.system not in unmeasured]
    for method in study.methods:
        of_it = [each for each in measured if each.row.method == method]
        uncounted = [each.system for each in of_it if each.calls_ratio is None]
        if uncounted:
            said.append(f"No calls to compare of {method}: {named(uncounted)}.")
        ends = {each.system for each in judged(of_it)}
        other = [each.system for each in of_it if each.system not in ends]
        if other:
            said.append(
                f"Energies of {method} not compared (another level of theory, or the reference "
                f"has none): {named(other)}."
            )
        repeated = sum(each.row.repeats for each in of_it)
        if repeated:
            said.append(f"{repeated} older relaxations by {method} are not counted.")
    unfinished = [each.system for each in study.of(study.reference) if not each.row.converged]
    if unfinished:
        said.append(f"The reference itself is not converged: {named(unfinished)}.")
    return said
