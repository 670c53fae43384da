"""What is known of a report only when every relaxation has been seen."""

from __future__ import annotations

from dataclasses import replace

from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.portable import to_ase
from finetuna_flows.results.report.measured import Measured
from finetuna_flows.results.report.rows import Row, row_of
from finetuna_flows.structures.fingerprint import start_key

OLDER = "not compared: there is a newer relaxation of this system by this method"


class Gathered:
    """The lines of the table, and the elements that are drawn."""

    def __init__(self, measured: Measured) -> None:
        self.symbols: set[str] = set()
        self._measured = measured
        self._rows: list[Row] = []
        self._systems: dict[str, Row] = {}  # by the key of the start alone

    def take(self, doc: RelaxationDoc) -> None:
        """Keep one line."""
        own = start_key(to_ase(doc.initial_structure))
        key = self._measured.keys.get(doc.uuid, own)
        row = row_of(doc, key, self._measured.outcomes.get(doc.uuid))
        self.symbols.update(site.specie.symbol for site in doc.structure)
        self._rows.append(row)
        if row.compared:
            self._systems[own] = row

    @property
    def rows(self) -> list[Row]:
        """All lines; an older relaxation is of the system that a newer one is of."""
        return [self._placed(row) for row in self._rows]

    def _placed(self, row: Row) -> Row:
        newer = self._systems.get(row.key)
        if newer is None or row.uuid in self._measured.keys:
            return row
        return replace(row, key=newer.key, system=newer.system, note=OLDER)
