"""The page around the data: what the package holds of it, put together into one text."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from importlib.resources import files

from finetuna_flows.errors import FinetunaError
from finetuna_flows.results.report.rounding import ENERGY, FORCE, LENGTH, TIME

SCRIPTS = (
    "dom.js",
    "format.js",
    "data.js",
    "theme.js",
    "plots.js",
    "columns.js",
    "filters.js",
    "table.js",
    "relaxations.js",
    "rotation.js",
    "structure.js",
    "structure_controls.js",
    "relaxation_plots.js",
    "ledger.js",
    "relaxation.js",
    "system.js",
    "systems_plots.js",
    "study_plots.js",
    "study.js",
    "router.js",
)
"""In this order: a constant stands before what takes it when the page is opened."""
STEPS = f"{10**-ENERGY:.{ENERGY}f} eV, {10**-FORCE:g} eV/Å, {10**-LENGTH:g} Å and {10**-TIME:g} s"
FOOTER = (
    f"This file holds all that it shows, rounded to {STEPS}; the full numbers are in the results "
    "store. Plots by plotly.js (MIT license)."
)
STYLES = ("style.css", "tables.css", "figures.css", "narrow.css")
"""The last says what is otherwise on a narrow screen and on paper."""
PLACE = re.compile(r"<!--(\w+)-->")


def page(
    study: Mapping[str, object],
    rows: Mapping[str, object],
    details: Iterable[str],
) -> Iterator[str]:
    """The text of the file, piece by piece.

    Its content security policy lets nothing be loaded, and no script run but those whose digest it
    names: what documents say cannot run even where a mistake of ours made it HTML.

    Parameters
    ----------
    study, rows
        What `overview` and `columns` give.
    details
        HTML of what each relaxation's page shows, one after the other.

    Raises
    ------
    FinetunaError
        If plotly is not installed.
    """
    plotly = _plotly()
    scripts = script()
    title = html.escape(str(study["title"]))
    generator = html.escape(f"finetuna-flows {study['version']}")
    written = html.escape(str(study["written"]))
    content = {
        "hashes": f"{_digest(scripts)} {_digest(plotly)}",
        "title": title,
        "generator": generator,
        "style": "\n".join(map(_read, STYLES)),
        "footer": f"Written {written} by {generator}. {FOOTER}",
        "study": as_json(study),
        "rows": as_json(rows),
        "plotly": base64.b64encode(gzip.compress(plotly.encode(), mtime=0)).decode(),
        "scripts": scripts,
    }
    pieces = PLACE.split(_read("page.html"))
    for text, name in zip(pieces[::2], [*pieces[1::2], None], strict=True):
        yield text
        if name == "details":
            yield from details
        elif name is not None:
            yield content[name]


def script() -> str:
    """All scripts as one, in a scope of its own and in strict mode."""
    return "(() => {\n'use strict';\n" + "\n".join(map(_read, SCRIPTS)) + "})();\n"


def as_json(content: object) -> str:
    """JSON for a ``<script>`` block, which no ``<`` of a document can end."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def detail_block(index: int, packed: str) -> str:
    """Where the page finds what is packed of the relaxation in row `index`."""
    return f'<script type="application/octet-stream" id="d{index}">{packed}</script>\n'


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as exc:
        raise FinetunaError(
            "the report draws its plots with plotly, which is not installed; install it with "
            "pip install 'finetuna-flows[report]'"
        ) from exc
    return str(get_plotlyjs())


def _digest(text: str) -> str:
    """As a content security policy names a script."""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
