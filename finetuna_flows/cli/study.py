"""``finetuna-flows compare --table``: many systems, as tables of any format."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from io import StringIO
from pathlib import Path

import typer
from rich.console import Console

from finetuna_flows.cli.study_tables import print_tables
from finetuna_flows.cli.tables import WIDTH, printer
from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.tables.counting import Count
from finetuna_flows.results.tables.render import Part, StudyTables
from finetuna_flows.results.tables.study import study_of

OF_TABLES = ("count", "table_format", "pairs", "against", "systems", "output")
"""Options that belong to ``--table``."""
OF_BOTH = ("table", "methods", "reference", "tag", "store")
"""Options that mean something with and without runs."""


class Format(StrEnum):
    """How tables are written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"


SUFFIXES = {
    ".md": Format.MARKDOWN,
    ".tex": Format.LATEX,
    ".csv": Format.CSV,
    ".json": Format.JSON,
}
"""Formats that a file's name says."""


@dataclass(frozen=True)
class WantedTables:
    """What was said on the command line about the tables of a study."""

    count: Count = Count.FRAMES
    table_format: Format | None = None
    """None: by the suffix of `output`, else text."""
    pairs: bool = False
    systems: bool = False
    against: str | None = None
    output: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be written, before anything runs."""
        if self.output is not None and not self.output.resolve().parent.is_dir():
            raise ValueError(f"--output is {self.output} but must be in a folder that exists")
        if self.output is not None and self.output.is_dir():
            raise ValueError(f"--output is {self.output} but must be a file")
        if self.chosen is Format.CSV and len(self.parts) > 1:
            raise ValueError(
                f"CSV holds one table but {' and '.join(self.parts)} are wanted; ask for one, or "
                "for --format json"
            )

    @property
    def chosen(self) -> Format:
        """How the tables are written."""
        suffix = self.output.suffix.lower() if self.output is not None else ""
        return self.table_format or SUFFIXES.get(suffix, Format.TEXT)

    @property
    def parts(self) -> tuple[Part, ...]:
        """Methods first; in CSV only where nothing else is wanted."""
        added = [
            *([Part.PAIRS] if self.pairs or self.against is not None else []),
            *([Part.SYSTEMS] if self.systems else []),
        ]
        alone = self.chosen is Format.CSV and added
        return tuple(added if alone else [Part.METHODS, *added])

    def check(self, methods: Sequence[str]) -> None:
        """Refuse a method to compare with that is none of those that will be there."""
        if self.against is not None and self.against not in methods:
            raise ValueError(
                f"--against is {self.against!r} but must be one of {', '.join(methods)}"
            )

    def show(
        self, comparisons: Sequence[ComparisonDoc], methods: Sequence[str] | None = None
    ) -> None:
        """Print the tables of these systems, or write them to the file.

        Raises
        ------
        ValueError
            If a method is none of theirs, or they are not measured alike.
        OSError
            If the file cannot be written; what it held before is then still there.
        """
        study = study_of(comparisons, methods=methods, count=self.count)
        self.check(study.methods)
        tables = StudyTables(study, self.parts, self.against)
        if self.output is None:
            self._write(tables, printer())
            return
        text = StringIO()
        self._write(tables, Console(file=text, width=WIDTH))
        _keep(text.getvalue(), self.output)

    def _write(self, tables: StudyTables, console: Console) -> None:
        match self.chosen:
            case Format.TEXT:
                print_tables(console, tables.texts)
            case Format.MARKDOWN:
                console.file.write(tables.markdown)
            case Format.LATEX:
                console.file.write(tables.latex)
            case Format.CSV:
                console.file.write(tables.csv)
            case Format.JSON:
                console.file.write(tables.json)


def _keep(text: str, path: Path) -> None:
    """Write a file whole or not at all; a pipe or a device is written to as it is."""
    target = path.resolve()
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
            return
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as exc:
        raise OSError(f"--output is {path} but cannot be written: {exc.strerror}") from exc


def check_together(context: typer.Context, *, table: bool, runs: bool) -> None:
    """Refuse options that were said but would mean nothing.

    Raises
    ------
    ValueError
        If one of a table's is there without ``--table``, one of a run's where nothing runs, or
        ``--methods`` names nothing.
    """
    methods = context.params.get("methods")
    if methods is not None and not all(each.strip() for each in methods.split(",")):
        raise ValueError(f"--methods is {methods!r} but must be names with commas between them")
    said = {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }
    if table and "as_json" in said:
        raise ValueError("--json prints documents and --table tables; say --format json instead")
    if not table:
        _refuse(said & set(OF_TABLES), "belongs to --table; add it")
    elif not runs:
        no_run = "is of a run, but with --table and without STRUCTURE nothing runs; leave it out"
        _refuse(said - {*OF_TABLES, *OF_BOTH}, no_run)


def only_tag(tags: Sequence[str] | None) -> str | None:
    """The one tag by which the relaxations of a study are chosen.

    Raises
    ------
    ValueError
        If there are several.
    """
    if tags and len(tags) > 1:
        raise ValueError(f"--tag is {', '.join(tags)} but a study of the store takes one tag")
    return tags[0] if tags else None


def _refuse(names: Collection[str], rule: str) -> None:
    if names:
        name = min(names).removeprefix("table_").replace("_", "-")
        raise ValueError(f"--{name} {rule}")
