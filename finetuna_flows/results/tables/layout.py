"""A table of words: what Markdown, LaTeX and the terminal are given to print."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

BREAK = re.compile(r"\s*[^\S ]\s*")
"""White space with something other than blanks in it; blanks alone set numbers below each other."""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    name: str
    unit: str = ""
    """Of its numbers, or what they are."""
    is_text: bool = False
    """Set to the left; numbers are set to the right."""


@dataclass(frozen=True)
class TextTable:
    """Cells as they are printed, and what is to be said of them."""

    label: str
    """To refer to it."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    """Sentences for its caption."""

    def __post_init__(self) -> None:
        """Put every text on one line, and refuse rows that are not as long as the head."""
        columns = (replace(each, name=on_one_line(each.name)) for each in self.columns)
        object.__setattr__(self, "title", on_one_line(self.title))
        object.__setattr__(self, "columns", tuple(columns))
        object.__setattr__(self, "rows", tuple(tuple(map(on_one_line, row)) for row in self.rows))
        object.__setattr__(self, "notes", tuple(map(on_one_line, self.notes)))
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row has {len(row)} cells but there are {len(self.columns)}")


def said_once(tables: Iterable[TextTable]) -> Iterator[TextTable]:
    """Tables that are read one below the other: each note stands below the first that it is of."""
    said: set[str] = set()
    for table in tables:
        yield replace(table, notes=tuple(note for note in table.notes if note not in said))
        said.update(table.notes)


def on_one_line(text: str) -> str:
    """Text in which a blank stands for every break of a line, tabulator and the like."""
    return BREAK.sub(" ", text).strip()


def named(names: Sequence[str], most: int = 8) -> str:
    """Names with commas; of many the first, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
