"""What ``finetuna-flows import`` says of what it did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import mean

from rich.console import Console
from rich.table import Table

from finetuna_flows.cli.exits import Exit
from finetuna_flows.cli.tables import printer, relaxation_table
from finetuna_flows.errors import StructureError
from finetuna_flows.relaxation.recorded.recording import UNRECORDED
from finetuna_flows.results.documents import RelaxationDoc

ROWS = 20
"""More relaxations than these are shown by method."""


@dataclass
class Results:
    """What became of all of them; of documents only what a table shows."""

    documents: list[RelaxationDoc] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)
    errors: list[Exception] = field(default_factory=list)
    damaged: int = 0
    passed_over: int = 0

    def __str__(self) -> str:
        """Return the counts, in one line."""
        said = [f"{count} {word}" for word, count in self.words.items()]
        said += [f"{len(self.errors)} failed"] if self.errors else []
        said += [f"{self.damaged} damaged parts left out"] if self.damaged else []
        said += [f"{self.passed_over} passed over"] if self.passed_over else []
        return ", ".join(said)

    @property
    def exit_code(self) -> Exit:
        """Whether all is in the store; a relaxation that is not converged is as good as another."""
        if not self.errors:
            return Exit.DONE
        refused = all(isinstance(each, StructureError | ValueError) for each in self.errors)
        return Exit.REFUSED if refused else Exit.FAILED


def conclude(results: Results, console: Console, *, table: bool) -> None:
    """The table, the counts, and what the user may have to say yet."""
    docs = results.documents
    if docs and table:
        printer().print(relaxation_table(docs) if len(docs) <= ROWS else method_table(docs))
    if len(docs) + len(results.errors) > 1 or results.damaged or results.passed_over:
        say(console, str(results))
    if any(UNRECORDED in doc.level_of_theory for doc in docs):
        say(
            console,
            "files that do not say their level of theory are a level of their own each, and "
            "energies are compared at one level only; name it with --level",
            "yellow",
        )
    _tell_untagged(docs, console)


def _tell_untagged(docs: list[RelaxationDoc], console: Console) -> None:
    untagged = sum(doc.adsorbate is None for doc in docs)
    if untagged:
        say(
            console,
            f"no atom is tagged as adsorbate in {untagged} of {len(docs)} relaxations, so it is "
            "not seen if an adsorbate broke or left, and a lower energy may be of that; say which "
            "atoms it is by --initial or --adsorbate",
            "yellow",
        )


def method_table(docs: list[RelaxationDoc]) -> Table:
    """A row a method, for more relaxations than a person reads."""
    table = Table(box=None, header_style="bold")
    for column in ("name", "method", "relaxations", "systems", "converged", "mean calls"):
        left = column in ("name", "method")
        table.add_column(column, justify="left" if left else "right")
    for name, method in dict.fromkeys((doc.name, doc.method) for doc in docs):
        members = [doc for doc in docs if (doc.name, doc.method) == (name, method)]
        table.add_row(
            name,
            method,
            str(len(members)),
            str(len({doc.system for doc in members})),
            str(sum(doc.converged for doc in members)),
            f"{mean(doc.parent_calls for doc in members):.1f}",
        )
    return table


def say(console: Console, words: str, style: str = "") -> None:
    """Print words as they are, in one line."""
    console.print(words, style=style, markup=False, highlight=False, soft_wrap=True)
