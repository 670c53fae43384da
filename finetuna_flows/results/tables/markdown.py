"""Tables in Markdown, as GitHub reads it."""

from __future__ import annotations

import re

from finetuna_flows.results.tables.layout import Column, TextTable

SPECIAL = re.compile(r"[\\|*_`<>\[\]~$&!]")
"""What might not stand for itself: emphasis, code, HTML, links, strikethrough, math, entities."""


def to_markdown(table: TextTable) -> str:
    """Return a table with its title above and its notes below it."""
    head = [_head(column) for column in table.columns]
    rule = ["---" if column.is_text else "---:" for column in table.columns]
    lines = [f"**{_escaped(table.title)}**", "", _line(head), _line(rule)]
    lines += [_line([_escaped(cell) for cell in row]) for row in table.rows]
    if table.notes:
        lines += ["", " ".join(_escaped(note) for note in table.notes)]
    return "\n".join(lines) + "\n"


def _head(column: Column) -> str:
    name = _escaped(column.name)
    return f"{name} ({_escaped(column.unit)})" if column.unit else name


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return SPECIAL.sub(lambda found: f"\\{found[0]}", text)
