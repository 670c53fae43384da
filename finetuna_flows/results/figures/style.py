"""How figures look: colours, marks, sizes, and how they are saved.

Colours are those of Okabe and Ito (Color Universal Design, 2008; recommended by Wong, Nature
Methods 8, 441 (2011)), which readers with any common colour blindness tell apart. A mark goes with
each, and a hatch where there are bars, so that figures can be read in grey too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from finetuna_flows.results.figures.names import FORMATS

SINGLE = 3.3
"""Inches: the width of one column of a journal's page."""
DOUBLE = 7.0
"""Inches: the width of the page."""
LETTER = 0.06
"""Inches that a letter takes on average."""
LEAST_WORD = 6
"""Letters of a line at least."""
ONE_COLUMN = 6
"""Bars with names that one column of a page has room for."""
GREY = "0.45"
"""Of what belongs to no method: thresholds, explanations."""
BAND = "0.88"
"""Of areas behind the data."""
INK = 0.75
"""How much of a colour's lightness words and lines keep."""
TINT = 0.6
"""How much of a colour's strength areas keep."""

COLORS = (
    "#000000",
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#F0E442",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")


class NothingToDrawError(ValueError):
    """The documents lack what this figure shows; the message says what."""


@dataclass(frozen=True)
class Look:
    """How one method is drawn in every figure."""

    color: str
    marker: str

    @property
    def ink(self) -> str:
        """The colour, darker: for words and lines, which are thin."""
        red, green, blue = to_rgb(self.color)
        return to_hex((INK * red, INK * green, INK * blue))

    @property
    def tint(self) -> str:
        """The colour, lighter: for areas, in which a hatch shall be seen."""
        red, green, blue = (1 - TINT * (1 - part) for part in to_rgb(self.color))
        return to_hex((red, green, blue))


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """Give each method a look of its own, the same wherever they come in the same order.

    The ninth has the colour of the first, with another mark.
    """
    found = {}
    for index, method in enumerate(dict.fromkeys(methods)):
        round_, place = divmod(index, len(COLORS))
        found[method] = Look(COLORS[place], MARKERS[(place + round_) % len(MARKERS)])
    return found


def completed(known: Mapping[str, Look] | None, methods: Iterable[str]) -> dict[str, Look]:
    """The looks that are given, with one for each method that has none."""
    names = list(dict.fromkeys(methods))
    if known is None:
        return looks(names)
    return {**looks([*known, *names]), **known}


def across(count: int) -> float:
    """Inches for so many bars or columns side by side: one column of the page, or the page."""
    return SINGLE if count <= ONE_COLUMN else DOUBLE


def wrapped(name: str, inches: float) -> str:
    """Break a name into lines that this much room holds, after spaces, hyphens and underscores."""
    room = max(LEAST_WORD, int(inches / LETTER))
    lines = [""]
    for piece in re.findall(r"[^\s_-]+[\s_-]?|[\s_-]", name):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > room:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.strip() for line in lines)


def plain(name: str) -> str:
    """A user's word as it is, for matplotlib, which sees formulas and hides what begins with _."""
    said = name.replace("$", r"\$")
    return f" {said}" if said.startswith("_") else said


@contextmanager
def drawing() -> Iterator[None]:
    """Use the settings of these figures inside; the caller's come back afterwards."""
    with matplotlib.rc_context(
        {
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 8.0,
            "axes.labelsize": 8.0,
            "axes.titlesize": 8.0,
            "xtick.labelsize": 7.0,
            "ytick.labelsize": 7.0,
            "legend.fontsize": 7.0,
            "axes.linewidth": 0.6,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "lines.linewidth": 1.0,
            "lines.markersize": 4.5,
            "patch.linewidth": 0.6,
            "hatch.linewidth": 0.5,
            "legend.frameon": False,
            "legend.handlelength": 1.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "pdf.fonttype": 42,
            "svg.fonttype": "path",
            "svg.hashsalt": "finetuna-flows",
        }
    ):
        yield


def canvas(width: float, height: float) -> Figure:
    """Start a figure of this size in inches, belonging to no window."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: str | Path, *, dpi: float = 300) -> Path:
    """Write a figure in the format that the suffix says; the same figure gives the same file.

    Fonts are embedded in PDF (as type 42) and are outlines in SVG; no file has a date in it.

    Parameters
    ----------
    figure
        Made by a function of this package.
    path
        ``.pdf``, ``.png`` or ``.svg``; its folder is made.
    dpi
        Dots per inch, of PNG.

    Raises
    ------
    ValueError
        If the suffix is another one.
    """
    target = Path(path)
    kind = target.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise ValueError(
            f"the suffix of {target.name!r} is {target.suffix!r} but must be one of "
            f"{', '.join('.' + each for each in FORMATS)}"
        )
    dated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    target.parent.mkdir(parents=True, exist_ok=True)
    with drawing():
        figure.savefig(target, format=kind, dpi=dpi, metadata=dated.get(kind))
    return target
