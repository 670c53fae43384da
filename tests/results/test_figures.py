"""Figures of whole studies draw what the comparisons say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import fmean, stdev

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.figures.accuracy import accuracy_figure
from finetuna_flows.results.figures.cycles import cycles_figure
from finetuna_flows.results.figures.style import NothingToDrawError, drawing, looks
from finetuna_flows.results.figures.systems import systems_figure
from finetuna_flows.results.figures.wall_time import wall_time_figure
from finetuna_flows.results.tables.counting import Count
from finetuna_flows.results.tables.statistics import wilson
from tests.results.studies import Run, comparisons_of, three_systems

METHODS = ["CG", "BFGS", "learner"]  # as tables order them: the reference, then dearest first


@pytest.fixture(scope="module")
def study() -> list[ComparisonDoc]:
    return three_systems()


def many(count: int, methods: Sequence[str]) -> list[ComparisonDoc]:
    """Systems with names and outliers to fill a figure with; the runs themselves are alike."""
    (doc,) = comparisons_of({"CG": Run(100), **{method: Run(50) for method in methods}})
    rng = np.random.default_rng(0)
    made = []
    for index in range(count):
        rows = [doc.rows[0]]
        for row in doc.rows[1:]:
            energy = float(rng.choice([0.0, 0.001, -0.3, 0.4]))
            mode = str(rng.choice(["cold", "kept"]))
            said = {"energy_difference": energy, "parent_calls": int(rng.integers(4, 90))}
            told = {"parent_mode": mode, "scf_cycles": 300, "scf_cycles_ratio": 0.5}
            rows.append(row.model_copy(update={**said, **told}))
        own = {"system": f"random{index:07d}", "system_key": f"{index}", "rows": tuple(rows)}
        made.append(doc.model_copy(update=own))
    return made


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def lines_of(axes: Axes, name: str) -> Line2D:
    (found,) = [line for line in axes.lines if line.get_label() == name]
    return found


def points(line: Line2D) -> tuple[list[float], list[float]]:
    """What a line or its marks are drawn at."""
    x, y = np.asarray(line.get_data(), dtype=np.float64)
    return x.tolist(), y.tolist()


def words_of(figure: Figure) -> list[Text]:
    """All that is to be read, but for ticks beyond the ends of their axis."""
    found = [text for legend in figure.legends for text in legend.get_texts()]
    for axes in figure.axes:
        found += [*axes.texts, *(axes.title, axes.xaxis.label, axes.yaxis.label)]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            found += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of words that lie on each other, and words that leave the figure."""
    with drawing():
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    placed = [(text.get_text(), text.get_window_extent().padded(-1)) for text in words_of(figure)]
    cut = [
        (name, "the edge")
        for name, box in placed
        if not (
            box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        )
    ]
    crossing = [
        (one, other)
        for (one, first), (other, second) in combinations(placed, 2)
        if first.overlaps(second)
    ]
    return cut + crossing


def errorbars(axes: Axes) -> dict[str, list[ErrorbarContainer]]:
    """By colour: of the filled mark, then of the hollow one."""
    found: dict[str, list[ErrorbarContainer]] = {}
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        found.setdefault(str(container[0].get_color()), []).append(container)
    return found


def test_accuracy_draws_means_of_ratios_and_shares_with_their_errors(
    study: list[ComparisonDoc],
) -> None:
    figure = accuracy_figure(study)
    (axes,) = figure.axes
    look = looks(METHODS)
    ratios = [11 / 101, 5 / 41, 21 / 201]
    filled, hollow = errorbars(axes)[look["learner"].ink]
    for mark, successes in ((filled, 3), (hollow, 2)):  # one is not converged
        (x,), (y,) = points(mark[0])
        assert x == pytest.approx(100 * fmean(ratios))
        assert mark[0].get_marker() == look["learner"].marker
        assert y == pytest.approx(100 * successes / 3)
        sideways, upwards = (np.array(bar.get_segments()[0]) for bar in mark[2])
        error = 100 * stdev(ratios) / 3**0.5
        assert sideways[:, 0] == pytest.approx([x - error, x + error])
        assert upwards[:, 1] == pytest.approx([100 * end for end in wilson(successes, 3)])
    assert filled[0].get_markerfacecolor() == look["learner"].color
    assert hollow[0].get_markerfacecolor() == "none"
    assert hollow[0].get_markersize() > filled[0].get_markersize()
    assert hollow[0].get_transform() == axes.transData  # where the number is


def test_accuracy_has_no_errors_of_the_reference(study: list[ComparisonDoc]) -> None:
    (axes,) = accuracy_figure(study).axes
    for mark in errorbars(axes)[looks(METHODS)["CG"].ink]:
        assert points(mark[0]) == ([100.0], [100.0])
        assert mark[2] == ()


def test_accuracy_names_methods_axes_and_what_is_left_out(study: list[ComparisonDoc]) -> None:
    figure = accuracy_figure(study)
    (axes,) = figure.axes
    assert legend_of(figure) == [
        "paper's rule, ≤ 0.02 eV",
        "strict rule",
        "CG",
        "BFGS (n = 2)",
        "learner",
    ]
    assert axes.get_xlabel() == "Parent calls (% of CG's)"
    assert axes.get_ylabel() == "Successful relaxations (%)"


def test_accuracy_counts_by_the_rule(study: list[ComparisonDoc]) -> None:
    (axes,) = accuracy_figure(study, count=Count.FRAMES_MINUS_ONE).axes
    filled, _ = errorbars(axes)[looks(METHODS)["learner"].ink]
    assert points(filled[0])[0] == pytest.approx([100 * fmean([10 / 100, 4 / 40, 20 / 200])])


def test_accuracy_shows_all_that_it_draws(study: list[ComparisonDoc]) -> None:
    (axes,) = accuracy_figure(study).axes
    for containers in errorbars(axes).values():
        for mark in containers:
            (x,), (y,) = points(mark[0])
            assert axes.get_xlim()[0] < x < axes.get_xlim()[1]
            assert axes.get_ylim()[0] < y < axes.get_ylim()[1]


def test_systems_are_sorted_by_the_calls_of_the_reference(study: list[ComparisonDoc]) -> None:
    upper, lower = systems_figure(study).axes
    assert [tick.get_text() for tick in lower.get_xticklabels()] == ["s01", "s00", "s02"]
    for method, calls in {"CG": [41, 101, 201], "BFGS": [31, 51], "learner": [5, 11, 21]}.items():
        drawn = sorted(zip(*points(lines_of(upper, method)), strict=True))
        assert [y for _, y in drawn] == calls
        assert [round(x) for x, _ in drawn] == list(range(len(calls)))
    assert upper.get_yscale() == "log"
    assert upper.get_ylabel() == "Parent calls"
    assert lower.get_xlabel() == "System, by the parent calls of CG"


def test_systems_draw_energies_and_name_outliers(study: list[ComparisonDoc]) -> None:
    figure = systems_figure(study)
    _, lower = figure.axes
    assert sorted(points(lines_of(lower, "BFGS"))[1]) == pytest.approx([0.001, 0.03])
    assert sorted(points(lines_of(lower, "learner"))[1]) == pytest.approx([0.0, 0.002])
    outliers = [line for line in lower.lines if line.get_gid()]
    assert [line.get_gid() for line in outliers] == ["-0.500000 eV"]
    assert outliers[0].get_marker() == looks(METHODS)["learner"].marker
    assert "−0.50" in [text.get_text() for text in lower.texts]
    (band,) = [patch for patch in lower.patches if patch.get_label() == "±0.02 eV"]
    assert isinstance(band, Rectangle)
    assert (band.get_y(), band.get_height()) == pytest.approx((-0.02, 0.04))
    assert lower.get_ylabel() == "Energy − CG's (eV)"
    assert legend_of(figure) == [*METHODS, "±0.02 eV"]


def test_a_wider_range_has_no_outliers(study: list[ComparisonDoc]) -> None:
    _, lower = systems_figure(study, energy_range=1.0).axes
    assert not [line for line in lower.lines if line.get_gid()]
    assert min(points(lines_of(lower, "learner"))[1]) == pytest.approx(-0.5)


def test_a_range_of_nothing_is_refused(study: list[ComparisonDoc]) -> None:
    with pytest.raises(ValueError, match=r"`energy_range` is 0.0 but must be positive"):
        systems_figure(study, energy_range=0.0)


def test_without_the_first_call_a_relaxation_may_have_none() -> None:
    study = comparisons_of({"CG": Run(10), "learner": Run(1)})
    upper, _ = systems_figure(study, count=Count.FRAMES_MINUS_ONE).axes
    assert points(lines_of(upper, "learner"))[1] == [0.0]
    assert upper.get_yscale() == "symlog"
    assert upper.get_ylabel() == "Parent calls − 1"


def with_modes(modes: dict[str, str | None]) -> list[ComparisonDoc]:
    """Two systems; cycles are 20, 10 and 5 a label in M1, M2 and M3."""
    cost = {"cold": 20, "restart": 10, "kept": 5, None: 8}
    study = comparisons_of(
        *(
            {"CG": Run(calls, scf=5), **{m: Run(calls // 2, scf=cost[modes[m]]) for m in modes}}
            for calls in (100, 200)
        )
    )
    said = {**modes, "CG": "kept"}
    return [
        doc.model_copy(
            update={
                "rows": tuple(
                    row.model_copy(update={"parent_mode": said[row.method]}) for row in doc.rows
                )
            }
        )
        for doc in study
    ]


def bars_of(axes: Axes) -> dict[str, Rectangle]:
    return {
        str(each.get_label()): each.patches[0]
        for each in axes.containers
        if isinstance(each, BarContainer)
    }


def test_cycles_are_grouped_by_method_and_mode() -> None:
    modes: dict[str, str | None] = {"BFGS cold": "cold", "BFGS (M3)": "kept", "fast": "restart"}
    study = with_modes(modes)
    figure = cycles_figure(study)
    (axes,) = figure.axes
    bars = bars_of(axes)
    heights = {name: bar.get_height() for name, bar in bars.items()}
    assert heights == pytest.approx(
        {
            "CG, M3, kept": 100,
            "BFGS cold, M1, cold": 200,
            "BFGS (M3), M3, kept": 50,
            "fast, M2, restart": 100,
        }
    )
    assert sorted(tick.get_text() for tick in axes.get_xticklabels()) == ["BFGS", "CG", "fast"]
    assert legend_of(figure) == ["M1, cold", "M2, restart", "M3, kept"]
    assert bars["CG, M3, kept"].get_hatch() == bars["BFGS (M3), M3, kept"].get_hatch() == "xxxx"
    left = [bars[name].get_x() for name in ("BFGS cold, M1, cold", "BFGS (M3), M3, kept")]
    assert left[0] < left[1]
    assert axes.get_ylabel() == "SCF cycles (% of CG's)"


def test_absolute_cycles_are_means_with_their_errors() -> None:
    (axes,) = cycles_figure(with_modes({"fast": "cold"}), absolute=True).axes
    bars = bars_of(axes)
    assert bars["fast, M1, cold"].get_height() == pytest.approx(fmean([1000, 2000]))
    (errors,) = [
        each.errorbar
        for each in axes.containers
        if isinstance(each, BarContainer) and each.get_label() == "fast, M1, cold"
    ]
    assert errors is not None
    ends = np.array(errors[2][0].get_segments()[0])[:, 1]
    assert ends == pytest.approx([1500 - 500, 1500 + 500])  # s/√n of 1000 and 2000
    assert axes.get_ylabel() == "SCF cycles per relaxation"


def test_cycles_of_an_unknown_mode_are_drawn_too() -> None:
    figure = cycles_figure(with_modes({"fast": None}))
    assert "mode not known" in legend_of(figure)
    assert bars_of(figure.axes[0])["fast, mode not known"].get_height() == pytest.approx(80)


def test_cycles_that_are_not_told_are_not_drawn(study: list[ComparisonDoc]) -> None:
    with pytest.raises(NothingToDrawError, match="no relaxation tells its SCF cycles, or CG"):
        cycles_figure(study)


def timed() -> list[ComparisonDoc]:
    return comparisons_of(
        {"CG": Run(10, seconds=7200.0), "learner": Run(2, seconds=360.0)},
        {"CG": Run(10, seconds=14400.0), "learner": Run(2)},
    )


def test_wall_times_are_stacked_in_a_unit_that_suits_them() -> None:
    figure = wall_time_figure(timed())
    (axes,) = figure.axes
    widths = {
        str(each.get_label()): [bar.get_width() for bar in each.patches]
        for each in axes.containers
        if isinstance(each, BarContainer)
    }
    assert widths["parent"] == pytest.approx([3.0, 0.1])  # hours
    for part in ("tuning", "prediction", "overhead"):
        assert widths[part] == pytest.approx([1.5, 0.05])
    starts = [
        [bar.get_x() for bar in each.patches]
        for each in axes.containers
        if isinstance(each, BarContainer)
    ]
    assert all((np.array(later) > before).all() for before, later in pairwise(starts))
    assert axes.get_xlabel() == "Wall time per relaxation (h)"
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["CG", "learner (n = 1)"]
    assert legend_of(figure) == ["parent", "tuning", "prediction", "overhead"]


def test_parts_of_the_wall_time_are_a_hundred_per_cent() -> None:
    (axes,) = wall_time_figure(timed(), fraction=True).axes
    bars = [each.patches for each in axes.containers if isinstance(each, BarContainer)]
    for method in range(2):
        assert sum(part[method].get_width() for part in bars) == pytest.approx(100.0)
    assert axes.get_xlabel() == "Part of the wall time (%)"


@pytest.mark.parametrize(("seconds", "unit"), [(10.0, "s"), (600.0, "min"), (6000.0, "h")])
def test_the_longest_bar_chooses_the_unit(seconds: float, unit: str) -> None:
    (axes,) = wall_time_figure(comparisons_of({"CG": Run(3, seconds=seconds)})).axes
    assert axes.get_xlabel().endswith(f"({unit})")


def test_wall_times_that_are_not_told_are_not_drawn(study: list[ComparisonDoc]) -> None:
    with pytest.raises(NothingToDrawError, match="where its wall time went"):
        wall_time_figure(study)


@pytest.mark.parametrize("draw", [accuracy_figure, systems_figure, cycles_figure, wall_time_figure])
def test_nothing_is_drawn_of_nothing(draw: object) -> None:
    assert callable(draw)
    with pytest.raises(NothingToDrawError, match="there is no comparison"):
        draw([])


def test_nothing_is_drawn_without_a_reference() -> None:
    study = comparisons_of({"CG": None, "learner": Run(3)})
    with pytest.raises(NothingToDrawError, match="no system has CG and another method"):
        accuracy_figure(study)


def test_colours_are_the_callers_where_there_are_some(study: list[ComparisonDoc]) -> None:
    palette = looks(["other", "learner", "CG"])
    upper, _ = systems_figure(study, palette=palette).axes
    assert lines_of(upper, "learner").get_color() == palette["learner"].color
    (axes,) = accuracy_figure(study, palette=palette).axes
    assert palette["learner"].ink in errorbars(axes)


EIGHT = [
    "ASE_BFGS cold",
    "ASE_BFGS kept",
    "ASE_GPMin",
    "GemNet_Warm_Start",
    "K-steps_Online_Learner",
    "a method with a long name",
    "fast",
]


@pytest.mark.parametrize("methods", [EIGHT[:2], EIGHT], ids=["three", "eight"])
@pytest.mark.parametrize("draw", [accuracy_figure, systems_figure, cycles_figure])
def test_no_words_lie_on_each_other(draw: object, methods: list[str]) -> None:
    assert callable(draw)
    figure = draw(many(20, methods))
    assert overlapping(figure) == []
    assert len({re.sub(r" \(n = \d+\)", "", name) for name in legend_of(figure)}) == len(
        legend_of(figure)
    )


def test_no_names_of_wall_times_lie_on_each_other() -> None:
    runs = {method: Run(5, seconds=10.0) for method in ["CG", *EIGHT]}
    assert overlapping(wall_time_figure(comparisons_of(runs))) == []
