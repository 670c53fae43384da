"""How large a report of many relaxations is, how long it takes to write, and to use in a browser.

    python benchmarks/report.py --folder DIR [--relaxations 10000] [--stored 200]

The relaxations are those of `benchmarks/made_relaxations.py`; they are handed to the writer one by
one, and what making them takes is not counted. Reading from a local store, and comparing, is
measured on as many as `--stored` says. The report stays in DIR. Times in the browser (Debian's
Chromium without a window, on a processor alone) are the page's own clock; the file is in the
machine's cache.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.made_relaxations import LEARNER, METHODS, REFERENCE, Plan, comparisons, made
from finetuna_flows.flows.keeping import keep
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.report.measured import measured, measured_by
from finetuna_flows.results.report.write import stored_relaxations, write_report
from finetuna_flows.results.store import local_job_store
from tests.browser.chromium import Browser, chromium, missing

FIRST_ROW = """new MutationObserver((_, self) => {
  if (document.querySelector('.all tbody tr[aria-rowindex]')) {
    self.disconnect();
    requestAnimationFrame(() => setTimeout(() => { window.usable = performance.now(); }));
  }
}).observe(document, { childList: true, subtree: true });
addEventListener('load', () => { window.whole = performance.now(); });"""
TIMED = """const done = arguments[0];
const begin = performance.now();
{act};
(function look() {{
  if ({seen}) requestAnimationFrame(() => done(performance.now() - begin));
  else setTimeout(look, 1);
}})();"""
SORT = "document.querySelectorAll('.all thead button')[{place}].click()"
FILTER = """const field = document.querySelector('.filters input');
field.value = 'random1000123 fast';
field.dispatchEvent(new Event('input'));"""
NARROWED = "document.querySelector('.count').innerText.includes('of')"
CANVAS = "document.querySelector('canvas')?.dataset.drawn"
PLOT = "document.querySelector('.plot')?.dataset.drawn"
HERE = "document.body.dataset.page === '{route}'"
MEMORY = "return performance.memory.usedJSHeapSize / 1e6"


@dataclass
class Stopwatch:
    """What making things takes, apart from what is done with them."""

    seconds: float = field(default=0.0)

    def around(self, docs: Iterable[RelaxationDoc]) -> Iterator[RelaxationDoc]:
        """Hand them on."""
        iterator = iter(docs)
        while True:
            begin = perf_counter()
            doc = next(iterator, None)
            self.seconds += perf_counter() - begin
            if doc is None:
                return
            yield doc


def memory() -> float:
    """MB that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write(path: Path, number: int, *, detailed: bool) -> None:
    """Write a report, and print what it took."""
    compared = comparisons(number)
    before = memory()
    begin = perf_counter()
    found = measured_by(compared)
    watch = Stopwatch()
    docs = watch.around(made(number))
    written = write_report(docs, found, path, title="Made up", detailed=detailed)
    seconds = perf_counter() - begin - watch.seconds
    print(
        f"{path.name}: {written.relaxations} relaxations of {written.systems} systems, "
        f"{written.size / 1e6:.1f} MB; written in {seconds:.1f} s ({1000 * seconds / number:.1f} "
        f"ms each; making them up took {watch.seconds:.0f} s more); memory at most "
        f"{memory():.0f} MB, {memory() - before:.0f} MB more than with comparisons alone"
    )


def read(folder: Path, number: int) -> None:
    """Print what the same costs from a store."""
    store = local_job_store(folder / "store")
    store.connect()
    for doc in made(number, whole=True):
        keep(doc).run(store=store)
    begin = perf_counter()
    found = measured(store, REFERENCE)
    compared = perf_counter()
    count = sum(1 for _ in stored_relaxations(store))
    done = perf_counter()
    again = measured(store, REFERENCE)
    if found.study is None or again.study is None or count != number:
        raise RuntimeError(f"the store gave {count} relaxations back, not {number}")
    print(
        f"from a local store, ms each of {number}: compared for the first time "
        f"{1000 * (compared - begin) / number:.1f}, again "
        f"{1000 * (perf_counter() - done) / number:.1f}; read "
        f"{1000 * (done - compared) / number:.1f}"
    )


def timed(browser: Browser, act: str, seen: str) -> float:
    """Milliseconds from an action until what it leads to is drawn."""
    value = browser.driver.execute_async_script(TIMED.format(act=act, seen=seen))
    return float(value)


def visit(browser: Browser, route: str, seen: str) -> float:
    """Milliseconds from following a link until the page is drawn."""
    here = HERE.format(route=route)
    return timed(browser, f"location.hash = '{route}'", f"{here} && {seen}")


def use(path: Path, number: int, folder: Path) -> None:
    """Print what a reader waits for."""
    lacking = missing()
    if lacking:
        print(f"{lacking} is not installed: nothing is measured in a browser")
        return
    with chromium(folder) as browser:
        browser.driver.set_script_timeout(120)
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=FIRST_ROW)
        browser.open(path, "#/relaxations")
        browser.wait("window.whole && window.usable")
        usable, whole = browser.js("return [window.usable, window.whole]")
        places = browser.js(
            "return [...document.querySelectorAll('.all thead button')].map((e) => e.innerText)"
        )
        sorts = {}
        for name in ("Parent calls", "System"):
            place = next(index for index, each in enumerate(places) if each.startswith(name))
            head = f"document.querySelectorAll('.all thead th')[{place}]"
            sorts[name] = timed(browser, SORT.format(place=place), f"{head}.ariaSort !== 'none'")
        narrowed = timed(
            browser, FILTER, "document.querySelector('.count').innerText.includes('of')"
        )
        last = Plan(number - len(METHODS) + list(METHODS).index(REFERENCE))
        opened = visit(browser, f"#/relaxation/{last.uuid}", f"{CANVAS} && {PLOT}")
        other = Plan(list(METHODS).index(LEARNER))
        second = visit(browser, f"#/relaxation/{other.uuid}", f"{CANVAS} && {PLOT}")
        study = visit(browser, "#/", "document.querySelector('.plot')")
        plots = 0.0
        for index in range(len(browser.js("return [...document.querySelectorAll('.plot')]"))):
            plot = f"document.querySelectorAll('.plot')[{index}]"
            plots += timed(browser, f"{plot}.scrollIntoView()", f"{plot}.dataset.drawn")
        heap = browser.js(MEMORY)
        said = browser.said()
    print(
        f"in the browser, ms: table usable {usable:.0f}, whole file there {whole:.0f}; sort by "
        f"number {sorts['Parent calls']:.0f}, by name {sorts['System']:.0f}; filter "
        f"{narrowed:.0f}; open a relaxation, with plotly.js to unpack, {opened:.0f}, another "
        f"{second:.0f}; back to the study {study:.0f}, all its plots {plots:.0f}; "
        f"JavaScript's memory {heap:.0f} MB; console: {said or 'nothing'}"
    )


def main() -> None:
    """Print every number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--relaxations", type=int, default=10_000)
    parser.add_argument("--stored", type=int, default=200)
    given = parser.parse_args()
    number = given.relaxations - given.relaxations % len(METHODS)
    report = given.folder / "report.html"
    write(report, number, detailed=True)
    with TemporaryDirectory(dir=given.folder) as folder:
        use(report, number, Path(folder))
        write(Path(folder) / "no-details.html", number, detailed=False)
        read(Path(folder), given.stored)


if __name__ == "__main__":
    main()
