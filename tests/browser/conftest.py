"""One browser for all tests, and the reports that they look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.results.reports import MANY, SCRIPT, copies, few, report_of

pytest.importorskip("selenium", reason="selenium is not installed (extra dev)")

from tests.browser.chromium import Browser, chromium, missing


@pytest.fixture(scope="session")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    lacking = missing()
    if lacking:
        pytest.skip(f"{lacking} is not installed; `make browser-up` does that")
    with chromium(tmp_path_factory.mktemp("downloads")) as browser:
        yield browser


@pytest.fixture
def browser(window: Browser) -> Iterator[Browser]:
    """As wide as a laptop, light; the test fails if the page said anything on the console."""
    window.resize(1280)
    window.prefer("light")
    yield window
    assert window.said() == []


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven relaxations, some of whose names would run as HTML."""
    docs, comparisons = few()
    return report_of(docs, comparisons, tmp_path_factory.mktemp("small") / "r.html", title=SCRIPT)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand relaxations in no comparison."""
    return report_of(copies(MANY), [], tmp_path_factory.mktemp("large") / "r.html")


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without details."""
    docs, comparisons = few()
    folder = tmp_path_factory.mktemp("bare")
    return report_of(docs, comparisons, folder / "r.html", detailed=False)
