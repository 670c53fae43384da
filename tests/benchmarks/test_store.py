"""The benchmark of the store asks what finds something, and cleans up after itself."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.store import main, relaxed, variants
from finetuna_flows.results.documents import RelaxationDoc


@pytest.mark.slow
def test_both_stores_find_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--folder", str(tmp_path), "--documents", "80", "--plain", "80"])
    said = capsys.readouterr().out
    tables = [
        re.findall(r"\| ([^|]+) \| (\d+) \|", part) for part in said.split("without an index")
    ]
    assert tables[0] == tables[2]
    found = dict(tables[0])
    assert found["count of all"] == found["DataFrame of all"] == "80"
    assert 0 < int(found["by chemical system"]) < 40
    assert not list(tmp_path.iterdir())


def test_generated_documents_are_relaxations(tmp_path: Path) -> None:
    made = list(islice(variants(relaxed(tmp_path)), 20))
    docs = [
        RelaxationDoc.model_validate({k: v for k, v in each["output"].items() if k[0] != "@"})
        for each in made
    ]
    assert len({doc.uuid for doc in docs}) == 20
    assert len({doc.formula_pretty for doc in docs}) > 10
