"""The table of all relaxations, as a reader uses it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import Browser
from tests.results.reports import CALLS, MANY, copies, few

pytestmark = pytest.mark.browser

LINES = """return [...document.querySelectorAll('.all tbody tr[aria-rowindex]')].map((line) =>
  ({ index: Number(line.getAttribute('aria-rowindex')),
     cells: [...line.children].map((cell) => cell.textContent) }))"""
TITLES = "return [...document.querySelectorAll('.all thead button')].map((each) => each.innerText)"


def lines(browser: Browser) -> list[list[str]]:
    found: list[dict[str, list[str]]] = browser.js(LINES)
    return [each["cells"] for each in found]


def place(browser: Browser, title: str) -> int:
    titles: list[str] = browser.js(TITLES)
    (found,) = [index for index, each in enumerate(titles) if each.startswith(title)]
    return found


def column(browser: Browser, title: str) -> list[str]:
    index = place(browser, title)
    return [cells[index] for cells in lines(browser)]


def sort_by(browser: Browser, title: str) -> str:
    """Click on the head of a column; return what it then says of its order."""
    index = place(browser, title)
    browser.js("document.querySelectorAll('.all thead button')[arguments[0]].click()", index)
    said: str = browser.js(
        "return document.querySelectorAll('.all thead th')[arguments[0]].ariaSort", index
    )
    return said


def choose(browser: Browser, name: str, value: str) -> None:
    script = """const [name, value] = arguments;
    const label = [...document.querySelectorAll('.filters label')]
      .find((each) => each.firstChild.textContent === name);
    const field = label.querySelector('select, input');
    field.value = value;
    field.dispatchEvent(new Event(field.tagName === 'SELECT' ? 'change' : 'input'));"""
    browser.js(script, name, value)


def status(browser: Browser) -> str:
    said: str = browser.js("return document.querySelector('.count').textContent")
    return said


def open_table(browser: Browser, page: Path, route: str = "#/relaxations") -> None:
    browser.open(page, route)
    browser.wait("document.querySelector('.all tbody tr[aria-rowindex]')")


def test_numbers_are_sorted_by_size_and_both_ways(browser: Browser, small: Path) -> None:
    open_table(browser, small)
    before = column(browser, "Parent calls")
    assert sort_by(browser, "Parent calls") == "ascending"
    up = column(browser, "Parent calls")
    assert up != before
    assert [int(each) for each in up] == sorted(doc.parent_calls for doc in few()[0])
    assert {str(calls) for calls in CALLS} <= set(up)
    assert up != sorted(up)  # as text it would be another order
    assert sort_by(browser, "Parent calls") == "descending"
    assert column(browser, "Parent calls") == up[::-1]
    assert sort_by(browser, "System") == "ascending"
    states = browser.js("return [...document.querySelectorAll('.all th')].map((e) => e.ariaSort)")
    assert states.count("ascending") == 1
    assert "descending" not in states


def test_what_is_not_known_comes_last_in_both_orders(browser: Browser, small: Path) -> None:
    open_table(browser, small)
    for _ in range(2):
        sort_by(browser, "ΔE")
        known = [each != "–" for each in column(browser, "ΔE")]
        assert known == sorted(known, reverse=True)
        assert known.count(False) == 3


def test_filters_narrow_down_and_stand_in_the_address(browser: Browser, small: Path) -> None:
    open_table(browser, small)
    assert status(browser) == "11 relaxations"
    choose(browser, "Method", "fast")
    assert set(column(browser, "Method")) == {"fast"}
    assert status(browser) == "4 of 11 relaxations"
    choose(browser, "Text", "S1 cu8o")
    assert column(browser, "System") == ["s1"]
    sort_by(browser, "Energy")
    address = browser.js("return location.hash")
    open_table(browser, small, address)  # as who is sent the link
    assert column(browser, "System") == ["s1"]
    assert status(browser) == "1 of 11 relaxations"
    assert browser.js("return document.querySelector('.filters input').value") == "S1 cu8o"
    choose(browser, "Text", "nothing like it")
    assert lines(browser) == []
    assert status(browser) == "0 of 11 relaxations"


@pytest.mark.parametrize(
    ("outcome", "number"),
    [("strict", 8), ("failed", 0), ("unconverged", 1), ("alone", 3)],
)
def test_outcomes(browser: Browser, small: Path, outcome: str, number: int) -> None:
    open_table(browser, small, "#/relaxations")
    choose(browser, "Outcome", outcome)
    assert len(lines(browser)) == number


def test_an_address_that_names_what_is_not_there_shows_all(browser: Browser, small: Path) -> None:
    open_table(browser, small, "#/relaxations?method=unknown&sort=unknown&outcome=toString")
    assert status(browser) == "11 relaxations"
    assert browser.js("return location.hash") == "#/relaxations"


def test_only_rows_in_sight_are_in_the_page(browser: Browser, large: Path) -> None:
    open_table(browser, large)
    assert status(browser) == "1,000 relaxations"
    assert browser.js("return document.querySelector('.all table').ariaRowCount") == "1001"
    assert len(lines(browser)) < 60
    sort_by(browser, "Parent calls")
    browser.js("document.querySelector('.all').scrollTop = 1e9")
    last = "[...document.querySelectorAll('.all tbody tr[aria-rowindex]')].at(-1)"
    browser.wait(f"{last}.ariaRowIndex === '1001'")
    most = max(doc.parent_calls for doc in copies(MANY))
    assert column(browser, "Parent calls")[-1] == f"{most:,}"
    assert len(lines(browser)) < 60
    below = browser.js(
        f"const box = document.querySelector('.all').getBoundingClientRect();"
        f"return {last}.getBoundingClientRect().bottom <= box.bottom + 1"
    )
    assert below


def test_keys_go_from_row_to_row_and_open_one(browser: Browser, large: Path) -> None:
    open_table(browser, large)
    scroll = browser.driver.find_element(By.CSS_SELECTOR, ".all")
    focused = "document.activeElement.closest('tr')?.ariaRowIndex"

    def press(key: str) -> str:
        browser.driver.switch_to.active_element.send_keys(key)
        found: str = browser.js(f"return {focused}")
        return found

    browser.js("arguments[0].focus()", scroll)
    assert press(Keys.ARROW_DOWN) == "2"
    assert press(Keys.ARROW_DOWN) == "3"
    assert press(Keys.END) == "1001"
    assert press(Keys.ARROW_UP) == "1000"
    assert int(press(Keys.PAGE_UP)) < 995
    assert press(Keys.HOME) == "2"
    target = browser.js("return document.activeElement.getAttribute('href')")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.wait("document.body.dataset.page === arguments[0]", target)


def test_back_finds_the_table_where_it_was(browser: Browser, large: Path) -> None:
    open_table(browser, large)
    choose(browser, "Method", "fast")
    browser.js("document.querySelector('.all').scrollTop = 5000")
    browser.wait("document.querySelector('.all tbody tr[aria-rowindex]').ariaRowIndex > 100")
    browser.js("document.querySelectorAll('.all tbody tr[aria-rowindex]')[20].click()")
    browser.wait("location.hash.startsWith('#/relaxation/')")
    browser.wait("document.querySelector('canvas')?.dataset.drawn")
    browser.js("history.back()")
    browser.wait("document.querySelector('.all tbody tr[aria-rowindex]')")
    assert set(column(browser, "Method")) == {"fast"}
    assert browser.js("return document.querySelector('.all').scrollTop") == 5000


def test_csv_holds_the_filtered_rows(browser: Browser, small: Path, tmp_path: Path) -> None:
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    open_table(browser, small)
    choose(browser, "Method", "BFGS")
    sort_by(browser, "System")
    browser.js("""[...document.querySelectorAll('.filters button')]
      .find((each) => each.textContent.includes('CSV')).click()""")
    file = tmp_path / "relaxations.csv"
    browser.until(lambda: file.exists() and file.stat().st_size, "a download")
    with file.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.DictReader(text))
    docs = {doc.uuid: doc for doc in few()[0] if doc.name == "BFGS"}
    assert [row["System"] for row in rows] == column(browser, "System")
    assert {row["UUID"] for row in rows} == docs.keys()
    for row in rows:
        assert int(row["Parent calls"]) == docs[row["UUID"]].parent_calls
        assert float(row["Energy (eV)"]) == pytest.approx(docs[row["UUID"]].energy, abs=1e-5)
