"""The parts of a study that are wanted, as text of some format."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from io import StringIO

from finetuna_flows.results.tables.captions import (
    absences,
    cautions,
    compared,
    rules_of_success,
    words_of_pairs,
)
from finetuna_flows.results.tables.latex import to_latex
from finetuna_flows.results.tables.layout import TextTable, said_once
from finetuna_flows.results.tables.markdown import to_markdown
from finetuna_flows.results.tables.method_tables import method_tables
from finetuna_flows.results.tables.methods import MethodSummary, summarize
from finetuna_flows.results.tables.pair_tables import pair_tables
from finetuna_flows.results.tables.pairs import PairedComparison, paired
from finetuna_flows.results.tables.records import (
    Record,
    about,
    method_record,
    outcome_record,
    pair_record,
)
from finetuna_flows.results.tables.study import Study
from finetuna_flows.results.tables.system_table import system_table


class Part(StrEnum):
    """What can be shown of a study."""

    METHODS = "methods"
    PAIRS = "pairs"
    SYSTEMS = "systems"


@dataclass(frozen=True)
class StudyTables:
    """The tables of a study; each is worked out when it is first asked for."""

    study: Study
    parts: tuple[Part, ...] = (Part.METHODS,)
    """In this order."""
    against: str | None = None
    """Pairs with this method alone; None: all pairs."""
    seed: int = 0
    """Of the bootstrap."""

    @cached_property
    def summaries(self) -> tuple[MethodSummary, ...]:
        """One a method."""
        return summarize(self.study)

    @cached_property
    def pairs(self) -> tuple[PairedComparison, ...]:
        """One a pair of methods."""
        return paired(self.study, against=self.against, seed=self.seed)

    @property
    def care(self) -> list[str]:
        """What to bear in mind, in sentences."""
        words = [words_of_pairs(len(self.pairs))] if Part.PAIRS in self.parts else []
        return [*words, *cautions(self.study)]

    @property
    def texts(self) -> list[TextTable]:
        """As tables of words."""
        tables = []
        for part in self.parts:
            match part:
                case Part.METHODS:
                    tables += method_tables(self.study, self.summaries)
                case Part.PAIRS:
                    tables += pair_tables(self.study, self.pairs)
                case Part.SYSTEMS:
                    tables.append(system_table(self.study))
        return tables

    def records(self, part: Part) -> list[Record]:
        """One part as plain numbers."""
        match part:
            case Part.METHODS:
                return [method_record(each) for each in self.summaries]
            case Part.PAIRS:
                return [pair_record(each) for each in self.pairs]
            case Part.SYSTEMS:
                return [outcome_record(each) for each in self.study.outcomes]

    @property
    def markdown(self) -> str:
        """For a README or a web page."""
        return "\n".join(to_markdown(each) for each in said_once(self.texts))

    @property
    def latex(self) -> str:
        """For a paper; with booktabs."""
        return "\n".join(to_latex(each) for each in self.texts)

    @property
    def json(self) -> str:
        """One object: `about` with what the captions say, and a list for each part."""
        held: dict[str, Record | list[str] | list[Record]] = {"about": about(self.study)}
        held["notes"] = [
            *compared(self.study),
            rules_of_success(self.study),
            *absences(self.study),
            *self.care,
        ]
        for part in self.parts:
            held[part.value] = self.records(part)
        return json.dumps(held, indent=2, ensure_ascii=False) + "\n"

    @property
    def csv(self) -> str:
        """One part; each row says what it was compared with, and how, and with what care to read.

        Raises
        ------
        ValueError
            If more than one part is wanted.
        """
        if len(self.parts) != 1:
            raise ValueError(
                f"CSV holds one table but {', '.join(self.parts)} are wanted; ask for one of them"
            )
        care: Record = {"cautions": " ".join(self.care)}
        return _csv([about(self.study) | each | care for each in self.records(self.parts[0])])


def _csv(records: Sequence[Record]) -> str:
    out = StringIO()
    if records:
        writer = csv.DictWriter(out, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return out.getvalue()
