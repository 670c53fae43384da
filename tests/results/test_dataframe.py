"""DataFrames have a row for each thing, the right kind of column, and say their units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jobflow.core.store import JobStore

from finetuna_flows.results.compare import compare
from finetuna_flows.results.dataframe import (
    comparisons_dataframe,
    ledger_dataframe,
    relaxations_dataframe,
)
from finetuna_flows.results.find import RelaxationSummary, relaxation_doc, relaxation_summaries
from tests.results.kept import day, filled_store, made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> JobStore:
    return filled_store(tmp_path_factory.mktemp("frames"))


def test_relaxations_have_a_row_each(store: JobStore) -> None:
    frame = relaxations_dataframe(store)
    summaries = list(relaxation_summaries(store))
    assert frame["uuid"].tolist() == [each.uuid for each in summaries]
    assert frame["completed_at"].tolist() == [each.completed_at for each in summaries]
    times = [each.timings.total or None for each in summaries]  # 0 was not recorded
    assert [None if np.isnan(each) else each for each in frame["timings_total"]] == times
    assert None in times
    assert frame["tags"].tolist()[-1] == ("paper", "day 1")
    assert np.isnan(frame["energy"][0])
    assert frame["scf_cycles"].sum() == sum(each.scf_cycles or 0 for each in summaries)
    assert frame["system"].isna().tolist() == [True, False, False, False]
    assert relaxations_dataframe(store, name="fast", limit=5)["name"].tolist() == ["fast"]


def test_columns_are_of_their_kind_even_where_there_is_nothing(store: JobStore) -> None:
    full, empty = relaxations_dataframe(store), relaxations_dataframe(store, name="nobody")
    assert len(empty) == 0
    for frame in (full, empty):
        kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
        assert kinds["parent_calls"] == kinds["scf_cycles"] == "Int64"
        assert kinds["energy"] == kinds["timings_parent"] == "float64"
        assert kinds["converged"] == "boolean"
        assert kinds["method"] == kinds["integrity"] == "string"
        assert isinstance(frame["completed_at"].dtype, pd.DatetimeTZDtype)
        assert str(frame["completed_at"].dt.tz) == "UTC"
    flattened = {name for name in full.columns if name.startswith("timings_")}
    assert set(full.columns) - flattened == set(RelaxationSummary.model_fields) - {"timings"}


def test_units_are_told(store: JobStore) -> None:
    units = relaxations_dataframe(store).attrs["units"]
    assert units["energy"] == "eV"
    assert units["fmax"] == "eV/Å"
    assert units["timings_tuning"] == "s"
    assert "rmsd" not in units


def test_comparisons_have_a_row_for_each_system_and_method() -> None:
    fast, bfgs, *_ = made()
    study = [compare({"fast": fast, "BFGS": bfgs, "lost": None}, "BFGS")]
    frame = comparisons_dataframe(study)
    assert frame["method"].tolist() == ["BFGS", "fast", "lost"]
    assert set(frame["system"]) == {"random1"}
    assert frame["parent_calls"].tolist()[:2] == [bfgs.parent_calls, fast.parent_calls]
    assert frame["parent_calls"].isna().tolist() == [False, False, True]
    assert frame["strict_success"].dtype == "boolean"
    assert frame["energy_difference"][0] == 0.0
    assert np.isnan(frame["timings_total"][2])
    assert frame["failures"].tolist()[0] == ()
    assert frame.attrs["units"]["rmsd"] == "Å"
    assert len(comparisons_dataframe([])) == 0


def test_a_ledger_has_a_row_for_each_parent_call(store: JobStore) -> None:
    uuid = next(relaxation_summaries(store, name="fast")).uuid
    doc = relaxation_doc(store, uuid, load=True)
    frame = ledger_dataframe(doc)
    assert len(frame) == doc.parent_calls
    assert frame["reasons"][0] == ("first", "every_k")
    assert frame["energy"].iloc[-1] == doc.energy
    with pytest.raises(ValueError, match=f"the ledger of {uuid} is not loaded"):
        ledger_dataframe(relaxation_doc(store, uuid))


def test_a_frame_goes_through_csv_and_back(store: JobStore, tmp_path: Path) -> None:
    frame = relaxations_dataframe(store, since=day(2))
    frame.to_csv(tmp_path / "table.csv", index=False)
    back = pd.read_csv(tmp_path / "table.csv")
    assert back["uuid"].tolist() == frame["uuid"].tolist()
    assert back["energy"].tolist()[1:] == frame["energy"].tolist()[1:]
