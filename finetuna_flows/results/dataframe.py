"""Relaxations, comparisons and parent calls as pandas DataFrames.

Columns have the names of the documents' fields, ``timings_parent`` stands for ``timings.parent``,
and ``DataFrame.attrs["units"]`` says the units. Whole numbers and booleans that can be missing are
nullable, times are in UTC, a missing energy is NaN and so
are times that were not recorded, tuples stay tuples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Union, Unpack, get_args, get_origin

import pandas as pd
from jobflow.core.store import JobStore
from pydantic import BaseModel

from finetuna_flows.results.document_parts import LedgerEntry, Timings
from finetuna_flows.results.documents import ComparisonDoc, ComparisonRow, RelaxationDoc
from finetuna_flows.results.filters import Selection
from finetuna_flows.results.find import RelaxationSummary, relaxation_fields
from finetuna_flows.results.loaded import loaded_ledger

UNITS = {
    "energy": "eV",
    "energy_per_atom": "eV/atom",
    "energy_difference": "eV",
    "free_energy": "eV",
    "predicted_energy": "eV",
    "fmax": "eV/Å",
    "fmax_threshold": "eV/Å",
    "predicted_fmax": "eV/Å",
    "force_error": "eV/Å",
    "tuned_force_error": "eV/Å",
    "rmsd": "Å",
    "wall_time": "s",
    **{f"timings_{part}": "s" for part in Timings.model_fields},
}
DTYPES = ((bool, "boolean"), (int, "Int64"), (float, "float64"), (str, "string"))
OF_THE_SYSTEM = ("system", "system_key", "formula_pretty", "adsorbate", "reference_method")
"""Fields of a comparison that stand in each of its rows."""


def relaxations_dataframe(store: JobStore, **selection: Unpack[Selection]) -> pd.DataFrame:
    """One row a relaxation, with the fields of `RelaxationSummary`; no document is read whole.

    Parameters and errors are those of `find.relaxation_summaries`.
    """
    return _dataframe(relaxation_fields(store, **selection), RelaxationSummary)


def comparisons_dataframe(study: Sequence[ComparisonDoc]) -> pd.DataFrame:
    """One row a system and method, with the fields of `ComparisonRow` and `OF_THE_SYSTEM`."""
    rows = (
        {**{name: getattr(doc, name) for name in OF_THE_SYSTEM}, **row.model_dump()}
        for doc in study
        for row in doc.rows
    )
    return _dataframe(rows, ComparisonRow, OF_THE_SYSTEM)


def ledger_dataframe(doc: RelaxationDoc) -> pd.DataFrame:
    """One row a parent call, with the fields of `LedgerEntry`.

    Raises
    ------
    ValueError
        If the ledger has not been loaded.
    """
    return _dataframe((entry.model_dump() for entry in loaded_ledger(doc)), LedgerEntry)


def _dataframe(
    rows: Iterable[Mapping[str, Any]], model: type[BaseModel], texts: Sequence[str] = ()
) -> pd.DataFrame:
    """Columns for the fields of `model`, after some of text; rows are not kept."""
    kinds = {
        **dict.fromkeys(texts, str),
        **{name: _kind(field.annotation) for name, field in model.model_fields.items()},
    }
    columns: dict[str, list[Any]] = {name: [] for name in kinds}
    for row in rows:
        for name, values in columns.items():
            values.append(row.get(name))
    frame = pd.DataFrame()
    for name, kind in kinds.items():
        if kind is Timings:
            for part in Timings.model_fields:
                known = [each if each and each["total"] else {} for each in columns[name]]
                split = [each.get(part) for each in known]  # a total of 0 was not recorded
                frame[f"{name}_{part}"] = _series(split, float)
        else:
            frame[name] = _series(columns[name], kind)
    frame.attrs["units"] = {name: UNITS[name] for name in frame.columns if name in UNITS}
    return frame


def _series(values: list[Any], kind: object) -> pd.Series[Any]:
    if kind is datetime:
        return pd.Series(pd.to_datetime(values, utc=True))
    if isinstance(kind, type):
        for known, dtype in DTYPES:
            if issubclass(kind, known):
                return pd.Series(values, dtype=dtype)
    return pd.Series([tuple(each) for each in values], dtype=object)


def _kind(annotation: object) -> object:
    """The type of a field, where it may be missing of what is there."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        (kind,) = [_kind(each) for each in get_args(annotation) if each is not NoneType]
        return kind
    return annotation
