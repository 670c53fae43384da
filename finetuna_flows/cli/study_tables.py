"""Tables of a study on a terminal: in blocks as wide as it is, with their notes below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finetuna_flows.results.tables.layout import TextTable, said_once

GAP = 2
"""Blanks beside the cells of a column."""


def print_tables(console: Console, tables: Iterable[TextTable]) -> None:
    """Print each with its title, and below it the notes that have not been said yet."""
    for table in said_once(tables):
        console.print(Text(table.title, style="bold"))
        for block in _blocks(table, console.width):
            console.print(block)
        for note in table.notes:
            console.print(Text(note, style="dim"))
        console.print()


def _blocks(table: TextTable, width: int) -> Iterator[Table]:
    """The table, or parts of it that fit, each with the first column."""
    first, *others = range(len(table.columns))
    room = width - _width(table, first)
    chosen: list[int] = []
    used = 0
    for index in others:
        needed = _width(table, index)
        if chosen and used + needed > room:
            yield _block(table, [first, *chosen])
            chosen, used = [], 0
        chosen.append(index)
        used += needed
    yield _block(table, [first, *chosen])


def _width(table: TextTable, index: int) -> int:
    cells = [row[index] for row in table.rows]
    column = table.columns[index]
    return GAP + max(map(cell_len, [column.name, column.unit, *cells]))


def _block(table: TextTable, chosen: Sequence[int]) -> Table:
    block = Table(box=None, header_style="bold")
    units = any(table.columns[index].unit for index in chosen)
    for index in chosen:
        column = table.columns[index]
        head = f"{column.name}\n{column.unit}" if units else column.name
        block.add_column(Text(head), justify="left" if column.is_text else "right")
    for row in table.rows:
        block.add_row(*(Text(row[index]) for index in chosen))
    return block
