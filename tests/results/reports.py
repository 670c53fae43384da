"""Relaxations to make reports of: a few real ones, and copies that differ in what a table says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from uuid import UUID

from ase import Atoms

from finetuna_flows.records import Relaxation
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.compare import compare
from finetuna_flows.results.documents import ComparisonDoc, RelaxationDoc
from finetuna_flows.results.report.measured import measured_by
from finetuna_flows.results.report.write import write_report
from tests.results.made import asking_seldom, by_bfgs, never_answered, slab, water

IMAGE = """<img src=x onerror="window.pwned='image'">"""
SCRIPT = "</script><script>window.pwned='script'</script>"
CALLS = (9, 10, 100, 2)
"""By system; as text they would sort otherwise."""

MANY = 1000
"""Relaxations of a large report."""


def named(relaxation: Relaxation, name: str, system: str, **said: object) -> RelaxationDoc:
    """A document of a relaxation, of a system that is called so."""
    relaxation.start.info["system"] = system
    doc = build_relaxation_doc(relaxation, name=name, spec={"name": name}, tags=["made", SCRIPT])
    return doc.model_copy(update=said)


def shifted(index: int) -> Atoms:
    """The slab, as the start of another system."""
    atoms = slab()
    atoms.positions[-1, 0] += 0.05 * index
    return atoms


@cache
def few() -> tuple[list[RelaxationDoc], list[ComparisonDoc]]:
    """Four systems by BFGS and an online method, one of them with names that would run as HTML.

    Then a molecule in no comparison, which never had an answer, and an older BFGS.
    """
    docs: list[RelaxationDoc] = []
    comparisons = []
    for index, calls in enumerate(CALLS):
        system = SCRIPT if index == 3 else f"s{index}"
        reference = named(by_bfgs(shifted(index)), "BFGS", system)
        name = IMAGE if index == 3 else "fast"
        online = named(asking_seldom(shifted(index)), name, system, parent_calls=calls)
        docs += [reference, online]
        comparisons.append(compare({"BFGS": reference, name: online}, "BFGS"))
    older = named(by_bfgs(shifted(0)), "BFGS", "s0")
    lost = named(never_answered(water()), "fast", "water")
    walked = named(replace(by_bfgs(water()), method="walk"), "walk", "water")
    return [*docs, older, lost, walked], comparisons


def copies(number: int) -> list[RelaxationDoc]:
    """Relaxations alike but for what the table says of them."""
    doc = few()[0][1]
    return [
        doc.model_copy(
            update={
                "uuid": str(UUID(int=index + 1)),
                "system": f"system {index}",
                "name": ("fast", "BFGS", "slow")[index % 3],
                "parent_calls": (index * 7919) % 1000 + 1,
                "converged": index % 10 > 0,
            }
        )
        for index in range(number)
    ]


def report_of(
    docs: Sequence[RelaxationDoc],
    comparisons: Sequence[ComparisonDoc],
    path: Path,
    *,
    title: str = "made",
    detailed: bool = True,
) -> Path:
    """A report of them in a file."""
    write_report(docs, measured_by(comparisons), path, title=title, detailed=detailed)
    return path
