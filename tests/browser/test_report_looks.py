"""A report is harmless, and can be read in the dark, on a telephone and on paper."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.browser.chromium import Browser
from tests.results.reports import IMAGE, SCRIPT, few

pytestmark = pytest.mark.browser

ROUTES = (
    "",
    "#/relaxations",
    "#/relaxation/{uuid}",
    "#/relaxations?q=<img src=x onerror=window.pwned=1>",
    "#/<img src=x onerror=window.pwned=1>",
)
CONTRAST = """const parts = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
const light = (colour) => {
  const [r, g, b] = parts(colour).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const back = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
  return 'rgb(255, 255, 255)';
};
return [...document.querySelectorAll('main *, header *, footer')]
  .filter((each) => !each.closest('.plot') && each.checkVisibility()
    && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((each) => {
    const [one, two] = [light(getComputedStyle(each).color), light(back(each))];
    return [(Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05), each.textContent];
  }).sort((one, other) => one[0] - other[0])[0];"""


def visit(browser: Browser, page: Path, route: str) -> None:
    """Open a page; the relaxation is the one with the worst names."""
    browser.open(page, route.format(uuid=few()[0][7].uuid))
    browser.wait("document.querySelector('h1')")


def draw_all(browser: Browser) -> None:
    """Plots are drawn when they come into sight."""
    for place in range(len(browser.js("return [...document.querySelectorAll('.plot')]"))):
        browser.js("document.querySelectorAll('.plot')[arguments[0]].scrollIntoView()", place)
        browser.wait("document.querySelectorAll('.plot')[arguments[0]].dataset.drawn", place)


@pytest.mark.parametrize("route", ROUTES)
def test_names_that_look_like_html_are_text(browser: Browser, small: Path, route: str) -> None:
    visit(browser, small, route)
    draw_all(browser)
    assert browser.js("return window.pwned") is None
    assert browser.js("return document.querySelectorAll('main img, .plot a').length") == 0
    assert browser.js("return document.querySelector('header .name').textContent") == SCRIPT


def test_a_name_is_shown_as_it_is(browser: Browser, small: Path) -> None:
    visit(browser, small, ROUTES[2])
    browser.wait("document.querySelector('canvas')?.dataset.drawn")
    heading = browser.js("return document.querySelector('h1').textContent")
    assert heading == f"{IMAGE} on {SCRIPT}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("route", ROUTES[:3])
def test_text_stands_out_in_light_and_dark(
    browser: Browser, small: Path, scheme: str, route: str
) -> None:
    browser.prefer(scheme)
    visit(browser, small, route)
    browser.wait("document.body.dataset.page !== undefined")
    contrast, text = browser.js(CONTRAST)
    assert contrast >= 4.5, text  # WCAG 2.2, 1.4.3
    back = browser.js("return getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") is (scheme == "light")


def test_plots_and_atoms_follow_the_theme(browser: Browser, small: Path) -> None:
    browser.open(small, f"#/relaxation/{few()[0][1].uuid}")
    browser.wait("document.querySelector('canvas')?.dataset.drawn")
    browser.wait("document.querySelector('.plot')?.dataset.drawn")
    title = "getComputedStyle(document.querySelector('.plot .xtitle')).fill"
    light = browser.js(f"return {title}")
    atoms = browser.js("return document.querySelector('canvas').toDataURL()")
    browser.prefer("dark")
    browser.wait(f"{title} !== arguments[0]", light)
    browser.wait("document.querySelector('canvas').toDataURL() !== arguments[0]", atoms)


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("route", ROUTES[:3])
def test_a_page_is_as_wide_as_the_screen(
    browser: Browser, small: Path, width: int, route: str
) -> None:
    browser.resize(width)
    visit(browser, small, route)
    draw_all(browser)
    assert browser.js("return document.documentElement.scrollWidth") <= width


def test_paper_has_every_row_and_plot(browser: Browser, small: Path, large: Path) -> None:
    browser.prefer("dark")
    browser.open(large, "#/relaxations?method=fast")
    browser.wait("document.querySelector('.all tbody tr[aria-rowindex]')")
    rows = "document.querySelectorAll('.all tbody tr[aria-rowindex]').length"
    browser.js(f"window.addEventListener('beforeprint', () => {{ window.printed = {rows}; }})")
    paper = base64.b64decode(browser.cdp("Page.printToPDF")["data"])
    assert paper.startswith(b"%PDF")
    assert browser.js("return window.printed") == 334  # a third of them
    browser.wait(f"{rows} < 60")
    browser.open(small)
    browser.wait("window.Plotly")
    browser.js("""window.addEventListener('beforeprint', () => {
      window.printed = document.querySelectorAll('.plot .main-svg').length;
    })""")
    browser.cdp("Page.printToPDF")
    assert browser.js("return window.printed") > 0
