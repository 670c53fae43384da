"""Figures of the twenty published systems, against their recount (VASP, OC20 systems)."""

from __future__ import annotations

from statistics import fmean, stdev

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.figures.accuracy import accuracy_figure
from finetuna_flows.results.figures.systems import systems_figure
from tests.results.published import DATA, published_comparisons, reference_table

pytestmark = [
    pytest.mark.slow,
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.exists(), reason=f"no published data in {DATA}"),
]
METHODS = ("ASE_BFGS", "ASE_GPMin", "GemNet_Warm_Start", "K_steps")


@pytest.fixture(scope="module")
def published() -> list[ComparisonDoc]:
    return published_comparisons()


def test_accuracy_is_that_of_the_recount(published: list[ComparisonDoc]) -> None:
    (axes,) = accuracy_figure(published).axes
    drawn = {}
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        if not str(container.get_label()).startswith("_"):
            (x,), (y,) = np.asarray(container[0].get_data(), dtype=np.float64)
            ends = [np.asarray(bar.get_segments()[0])[:, 0] for bar in container[2]][:1]
            drawn[str(container.get_label()).split(" ")[0]] = (x, y, ends)
    assert set(drawn) == {"VASP_CG", *METHODS}
    for method in METHODS:
        rows = [
            (row, cg)
            for methods in reference_table().values()
            if (row := methods[method]) and (cg := methods["VASP_CG"])
        ]
        ratios = [100 * row["dft_calls"] / cg["dft_calls"] for row, cg in rows]
        passing = [row["e_final"] - cg["e_final"] <= 0.02 for row, cg in rows]
        x, y, (sideways,) = drawn[method]
        error = stdev(ratios) / len(ratios) ** 0.5
        assert x == pytest.approx(fmean(ratios), rel=1e-12)
        assert y == pytest.approx(100 * fmean(passing))
        assert sideways == pytest.approx([fmean(ratios) - error, fmean(ratios) + error])


def test_every_system_has_the_calls_of_the_recount(published: list[ComparisonDoc]) -> None:
    upper, lower = systems_figure(published).axes
    systems = [tick.get_text().removeprefix("random") for tick in lower.get_xticklabels()]
    table = reference_table()
    assert sorted(systems) == sorted(table)
    for line in upper.lines:
        method = str(line.get_label())
        x, y = np.asarray(line.get_data(), dtype=np.float64)
        found = {systems[round(place)]: calls for place, calls in zip(x, y, strict=True)}
        assert found == {
            system: row["dft_calls"] for system, rows in table.items() if (row := rows[method])
        }


def test_energies_beyond_the_axis_are_named(published: list[ComparisonDoc]) -> None:
    _, lower = systems_figure(published).axes
    table = reference_table().values()
    beyond = sorted(
        shift
        for rows in table
        for method in METHODS
        if (row := rows[method])
        and (cg := rows["VASP_CG"])
        and abs(shift := row["e_final"] - cg["e_final"]) > 0.1
    )
    drawn = [str(line.get_gid()) for line in lower.lines if line.get_gid()]
    assert sorted(float(each.removesuffix(" eV")) for each in drawn) == pytest.approx(
        beyond,
        abs=2e-6,  # digits of the table
    )
    assert beyond
