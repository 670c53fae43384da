"""The pages of a report: study, relaxation, system, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.browser.chromium import Browser
from tests.results.reports import SCRIPT, few

pytestmark = pytest.mark.browser

DRAWN = "[...document.querySelectorAll('.plot')].every((each) => each.dataset.drawn)"
COLOURS = """const canvas = document.querySelector('canvas');
const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
const found = new Set();
for (let i = 0; i < data.length; i += 4) {
  if (data[i + 3]) found.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
}
return found.size;"""
PICTURE = "return document.querySelector('canvas').toDataURL()"


def relaxation(browser: Browser, page: Path, index: int) -> None:
    """Open the page of one of the few by its address."""
    browser.open(page, f"#/relaxation/{few()[0][index].uuid}")
    browser.wait("document.querySelector('canvas')?.dataset.drawn")


def press(browser: Browser, name: str) -> None:
    browser.js(
        "[...document.querySelectorAll('button')].find((e) => e.textContent === arguments[0])"
        ".click()",
        name,
    )


def picture(browser: Browser) -> str:
    """The canvas, after the next frame."""
    browser.driver.execute_async_script(
        "requestAnimationFrame(() => requestAnimationFrame(() => arguments[0]()))"
    )
    found: str = browser.js(PICTURE)
    return found


def scroll_through(browser: Browser) -> None:
    """Plots are drawn when they come into sight."""
    for place in range(len(browser.js("return [...document.querySelectorAll('.plot')]"))):
        browser.js("document.querySelectorAll('.plot')[arguments[0]].scrollIntoView()", place)
        browser.wait("document.querySelectorAll('.plot')[arguments[0]].dataset.drawn", place)
    assert browser.js(f"return {DRAWN}")


def test_the_study_shows_its_tables_and_plots(browser: Browser, small: Path) -> None:
    browser.open(small)
    browser.wait("document.querySelector('.plot')")
    text = browser.js("return document.getElementById('main').textContent")
    assert "11 relaxations of 5 systems" in text
    assert "measured against BFGS" in text
    assert "Every label counts" in text
    scroll_through(browser)
    points = "document.querySelectorAll('.plot')[1].querySelectorAll('.scatterlayer .point').length"
    assert browser.js(f"return {points}") == 4  # one online relaxation a system


def test_nothing_is_asked_for_but_the_file(browser: Browser, small: Path) -> None:
    browser.requests()
    browser.open(small)
    browser.wait("document.querySelector('.plot')")
    scroll_through(browser)
    for route in ("#/relaxations", f"#/relaxation/{few()[0][1].uuid}", "#/"):
        browser.js("location.hash = arguments[0]", route)
        browser.wait("document.body.dataset.page === arguments[0]", route)
    asked = {address for address in browser.requests() if not address.startswith("data:")}
    assert asked == {small.as_uri()}
    browser.js("fetch('https://example.org/').catch(() => { window.refused = true; })")
    browser.wait("window.refused")
    said = browser.said()
    assert said
    assert all("Content Security Policy" in each or "example.org" in each for each in said), said


def test_no_button_sends_a_plot_away(browser: Browser, small: Path) -> None:
    browser.open(small)
    browser.wait("document.querySelector('.plot')")
    scroll_through(browser)
    titles = browser.js(
        "return [...document.querySelectorAll('.modebar-btn')].map((each) => each.dataset.title)"
    )
    assert titles
    assert not [each for each in titles if "hare" in each or "loud" in each]


def test_a_dot_leads_to_its_relaxation(browser: Browser, small: Path) -> None:
    browser.open(small)
    browser.wait("document.querySelector('.plot')")
    scroll_through(browser)
    path = browser.js("""const plot = document.querySelectorAll('.plot')[1];
      const points = [{ customdata: plot.data[0].customdata[0] }];
      plot.emit('plotly_click', { points });
      return points[0].customdata;""")
    browser.wait("document.body.dataset.page === arguments[0]", path)
    assert path.removeprefix("#/relaxation/") in {doc.uuid for doc in few()[0]}


def test_a_relaxation_by_its_link(browser: Browser, small: Path) -> None:
    relaxation(browser, small, 1)
    doc = few()[0][1]
    heading = browser.js("return document.querySelector('h1').textContent")
    assert heading == "fast on s0"
    text = browser.js("return document.getElementById('main').textContent")
    assert doc.uuid in text
    assert "the parent's own forces are below the threshold" in text
    rows = browser.js("return document.querySelectorAll('.ledger tbody tr').length")
    assert isinstance(doc.ledger, tuple)
    assert rows == len(doc.ledger)
    scroll_through(browser)
    assert browser.js("return document.querySelectorAll('.plot').length") == 2
    lengths = browser.js("return document.querySelector('.plot').data.map((each) => each.x.length)")
    assert lengths[:2] == [doc.n_steps, len(doc.ledger)]


def test_atoms_turn_grow_and_go_back_to_their_start(browser: Browser, small: Path) -> None:
    relaxation(browser, small, 1)
    assert browser.js(COLOURS) > 100
    seen = [picture(browser)]
    for name in ("Start", "Both", "Top", "+"):
        press(browser, name)
        seen.append(picture(browser))
    browser.js("""document.querySelector('canvas').dispatchEvent(
      new KeyboardEvent('keydown', { key: 'ArrowLeft', cancelable: true }))""")
    seen.append(picture(browser))
    assert len(set(seen)) == len(seen)
    press(browser, "Side")
    press(browser, "End")
    assert picture(browser) == seen[0]


def test_a_pointer_turns_atoms_and_names_them(browser: Browser, small: Path) -> None:
    relaxation(browser, small, 1)
    before = picture(browser)
    x, y = browser.js("""document.querySelector('canvas').scrollIntoView({ block: 'center' });
      const box = document.querySelector('canvas').getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2]""")

    def mouse(kind: str, x: float, y: float, button: str) -> None:
        browser.cdp(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=0, clickCount=1
        )

    mouse("mouseMoved", x, y, "none")
    browser.wait("/^(Cu|O), atom \\d/.test(document.querySelector('.said').textContent)")
    mouse("mousePressed", x, y, "left")
    mouse("mouseMoved", x + 60, y + 10, "left")
    mouse("mouseReleased", x + 60, y + 10, "left")
    assert picture(browser) != before


def test_a_relaxation_without_an_answer(browser: Browser, small: Path) -> None:
    relaxation(browser, small, 9)
    text = browser.js("return document.getElementById('main').textContent")
    assert "the parent never answered" in text
    scroll_through(browser)


def test_a_system_side_by_side(browser: Browser, small: Path) -> None:
    relaxation(browser, small, 1)
    browser.js("document.querySelectorAll('.crumbs a')[1].click()")
    browser.wait("location.hash.startsWith('#/system/')")
    browser.wait("document.querySelector('canvas')?.dataset.drawn")
    methods = browser.js(
        "return [...document.querySelectorAll('tbody th')].map((each) => each.textContent)"
    )
    assert methods == ["BFGS", "BFGS", "fast"]  # the older BFGS too
    scroll_through(browser)
    assert browser.js("return document.querySelector('.plot').data.length") == 6
    before = picture(browser)
    browser.js("""const select = document.querySelectorAll('.structure select')[0];
      select.value = '0';
      select.dispatchEvent(new Event('change'));""")
    assert picture(browser) != before


@pytest.mark.parametrize(
    "route", ["#/relaxation/unknown", "#/system/0123", "#/elsewhere", "#/relaxation/%E0%A4%A"]
)
def test_what_is_not_there_is_said(browser: Browser, small: Path, route: str) -> None:
    browser.open(small, route)
    browser.wait("document.querySelector('h1')")
    assert browser.js("return document.querySelector('h1').textContent") == "Not in this report"
    assert browser.js("return document.title").startswith("Not in this report")


def test_clicks_lead_on_and_back_leads_back(browser: Browser, small: Path) -> None:
    def click(path: str) -> None:
        browser.driver.find_element(By.XPATH, path).click()

    headed = "document.querySelector('h1').textContent === arguments[0]"
    browser.open(small)
    browser.wait("document.readyState === 'complete'")
    click("//nav/a[.='Relaxations']")
    browser.wait(headed, "Relaxations")
    click("//tr[th/a[.='s1']]/td[2]")
    browser.wait("location.hash.startsWith('#/relaxation/')")
    browser.wait(headed, "BFGS on s1")
    browser.js("history.back()")
    browser.wait(headed, "Relaxations")
    browser.js("history.back()")
    browser.wait(headed, SCRIPT)
    browser.js("history.forward()")
    browser.wait(headed, "Relaxations")
    assert browser.js("return document.title").startswith("Relaxations")


def test_without_details_the_facts_are_there(browser: Browser, bare: Path) -> None:
    browser.open(bare, f"#/relaxation/{few()[0][1].uuid}")
    browser.wait("document.getElementById('main').textContent.includes('--no-details')")
    assert browser.js("return document.querySelector('canvas')") is None
    assert "fast on s0" in browser.js("return document.querySelector('h1').textContent")
