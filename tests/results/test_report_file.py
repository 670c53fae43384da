"""The file of a report: harmless, whole, and written without holding all of it."""

from __future__ import annotations

import base64
import gzip
import math
import sys
import weakref
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from finetuna_flows.errors import FinetunaError, StoreError
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.report.details import packed
from finetuna_flows.results.report.measured import NOTHING
from finetuna_flows.results.report.rounding import rounded, significant
from finetuna_flows.results.report.write import write_report
from tests.results.report_blocks import Blocks, unpacked
from tests.results.reports import IMAGE, SCRIPT, copies, few, report_of


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    docs, comparisons = few()
    return report_of(docs, comparisons, tmp_path_factory.mktemp("report") / "r.html", title=SCRIPT)


@pytest.fixture(scope="module")
def blocks(file: Path) -> Blocks:
    return Blocks(file.read_text(encoding="utf-8"))


def test_names_stay_text(blocks: Blocks) -> None:
    rows = blocks.rows
    assert (rows[7]["name"], rows[7]["system"], blocks.study["title"]) == (IMAGE, SCRIPT, SCRIPT)
    assert blocks.details(7)["facts"]["spec"] == {"name": IMAGE}
    assert len(blocks.code) == 1
    assert "pwned" not in blocks.code[0]
    assert "img" not in blocks.tags


def test_no_script_may_run_but_those_that_are_named(blocks: Blocks) -> None:
    policy = blocks.meta["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    (scripts,) = [each for each in policy.split("; ") if each.startswith("script-src ")]
    plotly = gzip.decompress(base64.b64decode(blocks.block("plotly"))).decode()
    digests = [
        f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
        for text in (blocks.code[0], plotly)
    ]
    assert scripts.split() == ["script-src", *digests]
    assert "unsafe" not in scripts


def test_nothing_is_named_that_lies_elsewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert "//cdn" not in text


def test_a_report_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    path.write_text("before")
    docs, _ = few()

    def broken() -> Iterator[RelaxationDoc]:
        yield docs[0]
        raise StoreError("the store is gone")

    with pytest.raises(StoreError, match="gone"):
        write_report(broken(), NOTHING, path, title="t")
    assert path.read_text() == "before"
    write_report(docs[:1], NOTHING, path, title="t")
    assert path.read_text().startswith("<!doctype html>")
    assert [each.name for each in tmp_path.iterdir()] == ["r.html"]


def test_documents_are_held_one_at_a_time(tmp_path: Path) -> None:
    alive: list[weakref.ref[RelaxationDoc]] = []

    def stream() -> Iterator[RelaxationDoc]:
        for doc in copies(20):
            one = doc.model_copy()
            alive.append(weakref.ref(one))
            yield one
            del one
            assert sum(each() is not None for each in alive) <= 1

    write_report(stream(), NOTHING, tmp_path / "r.html", title="t")
    assert len(alive) == 20


def test_nothing_to_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no relaxation"):
        write_report([], NOTHING, tmp_path / "r.html", title="t")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "missing/r.html"])
def test_a_file_in_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"`path` is .* must be a file in a folder that exists"):
        write_report(few()[0], NOTHING, tmp_path / name, title="t")


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_none(value: float | None) -> None:
    assert rounded(value, 2) is None
    assert significant(value) is None


def test_rounding() -> None:
    assert rounded(-1e-9, 5) == 0.0
    assert str(rounded(-1e-9, 5)) == "0.0"
    assert significant(0.000123456) == 0.000123
    assert unpacked(packed({"a": [1, None, "é<"]})) == {"a": [1, None, "é<"]}


def test_without_plotly_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)  # as where it is not installed
    with pytest.raises(FinetunaError, match=r"pip install 'finetuna-flows\[report\]'"):
        write_report(few()[0][:1], NOTHING, tmp_path / "r.html", title="t")
    assert not list(tmp_path.iterdir())
