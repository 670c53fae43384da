"""All figures look alike, and a figure saved twice is the same file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from finetuna_flows.results.figures.names import FORMATS
from finetuna_flows.results.figures.style import (
    COLORS,
    canvas,
    completed,
    drawing,
    looks,
    plain,
    save,
    wrapped,
)


def figure() -> Figure:
    with drawing():
        made = canvas(3.3, 2.0)
        axes = made.subplots()
        axes.bar([1, 2], [3, 4], hatch="////", label="bars")
        axes.set_xlabel("Energy $-$ final (eV/Å)")
        made.legend(loc="outside upper center")
    return made


def test_methods_look_different_and_the_first_is_black() -> None:
    found = looks(f"method {index}" for index in range(20))
    assert len({(each.color, each.marker) for each in found.values()}) == 20
    eight = list(found.values())[:8]
    for part in ("color", "marker"):
        assert len({getattr(each, part) for each in eight}) == 8
    assert found["method 0"].color == "#000000"


def test_a_method_that_is_drawn_twice_has_one_look() -> None:
    assert looks(["a", "b", "a"]) == looks(["a", "b"])


def test_known_looks_are_kept_and_new_methods_get_free_ones() -> None:
    known = looks(["a", "b"])
    found = completed(known, ["c", "b"])
    assert found["b"] == known["b"]
    assert found["c"] == looks(["a", "b", "c"])["c"]
    assert completed(None, ["x"]) == looks(["x"])


def test_words_are_dark_enough_to_be_read_on_white() -> None:
    """Luminance by WCAG; 3 : 1 is asked for large words and graphics, 2 is met by all."""

    def luminance(color: str) -> float:
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in to_rgb(color)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for each in looks(COLORS).values():
        assert 1.05 / (luminance(each.ink) + 0.05) > 1.05 / (luminance(each.color) + 0.05) - 1e-9
        assert 1.05 / (luminance(each.ink) + 0.05) > 2.0
        assert luminance(each.tint) > luminance(each.color)


def test_names_are_broken_where_a_reader_would() -> None:
    assert wrapped("GemNet warm start", 0.7) == "GemNet warm\nstart"
    assert wrapped("K-steps_Online_Learner", 0.5) == "K-steps_\nOnline_\nLearner"
    assert wrapped("unbreakable", 0.1) == "unbreakable"


def test_a_name_is_no_formula_and_is_not_hidden() -> None:
    name = r"_run $\frac$"
    with drawing():
        made = canvas(3.3, 2.0)
        axes = made.subplots()
        axes.plot([1, 2], label=plain(name))
        legend = made.legend()
        FigureCanvasAgg(made).draw()  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
        assert [text.get_text() for text in legend.get_texts()] == [r" _run \$\frac\$"]
        axes.set_title(name)
        with pytest.raises(ValueError, match="frac"):  # what a formula would have done
            FigureCanvasAgg(made).draw()  # type: ignore[no-untyped-call]  # as above


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_figure_gives_the_same_file(suffix: str, tmp_path: Path) -> None:
    one, other = (save(figure(), tmp_path / name / f"f.{suffix}") for name in ("a", "b"))
    content = one.read_bytes()
    assert content == other.read_bytes()
    assert b"CreationDate" not in content
    assert b"dc:date" not in content


def test_another_process_writes_the_same_files(tmp_path: Path) -> None:
    code = (
        "import sys; from tests.results.test_figures_style import figure, save\n"
        "for name in sys.argv[1:]: save(figure(), name)"
    )
    names = [tmp_path / "theirs" / f"f.{suffix}" for suffix in FORMATS]
    subprocess.run([sys.executable, "-c", code, *map(str, names)], check=True)
    for name in names:
        assert name.read_bytes() == save(figure(), tmp_path / name.name).read_bytes()


def test_fonts_in_a_pdf_are_embedded_outlines_that_can_be_edited(tmp_path: Path) -> None:
    content = save(figure(), tmp_path / "f.pdf").read_bytes()
    assert re.search(rb"/Subtype\s*/(CIDFontType2|TrueType)", content)  # type 42
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_an_image_has_the_dots_that_were_asked_for(tmp_path: Path) -> None:
    path = save(figure(), tmp_path / "f.png", dpi=100)
    assert path.read_bytes()[16:24] == (330).to_bytes(4, "big") + (200).to_bytes(4, "big")


def test_save_refuses_another_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'f.jpg' is '.jpg' but must be one of .pdf, .png, .svg"):
        save(figure(), tmp_path / "f.jpg")


def test_settings_of_the_caller_come_back() -> None:
    before = dict(matplotlib.rcParams)
    with drawing():
        assert matplotlib.rcParams["pdf.fonttype"] == 42
    assert dict(matplotlib.rcParams) == before


def test_no_figure_needs_pyplot_and_no_command_starts_matplotlib() -> None:
    code = (
        "import sys, finetuna_flows.cli; print('matplotlib' in sys.modules)\n"
        "import finetuna_flows.results.album; print('matplotlib.pyplot' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout.split() == ["False", "False"]
