"""Figures of single relaxations draw their trajectories and ledgers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.document_parts import BlobReference, Trajectory
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.figures.components import principal_components
from finetuna_flows.results.figures.descriptor import B2
from finetuna_flows.results.figures.detail import detail_figure
from finetuna_flows.results.figures.force_error import force_error_figure
from finetuna_flows.results.figures.paths import paths_figure
from finetuna_flows.results.figures.style import NothingToDrawError, looks
from finetuna_flows.results.figures.trajectory import endpoint
from finetuna_flows.results.scale import Shift, shift_of
from tests.results.made import asking_seldom, by_bfgs, never_answered, slab, water

ELSEWHERE = BlobReference(blob_uuid="1", store="data")
SMALL = B2(n_max=3, l_max=2, cutoff=4.0)


@pytest.fixture(scope="module")
def bfgs() -> RelaxationDoc:
    return build_relaxation_doc(by_bfgs(slab()), name="BFGS", spec={})


@pytest.fixture(scope="module")
def learner() -> RelaxationDoc:
    return build_relaxation_doc(asking_seldom(slab()), name="fast", spec={})


def trajectory_of(doc: RelaxationDoc) -> Trajectory:
    assert isinstance(doc.trajectory, Trajectory)
    return doc.trajectory


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def line(axes: Axes, name: str) -> Line2D:
    (found,) = [each for each in axes.lines if each.get_label() == name]
    return found


def points(each: Line2D) -> tuple[list[float], list[float]]:
    x, y = np.asarray(each.get_data(), dtype=np.float64)
    return x.tolist(), y.tolist()


def walk(
    told: Sequence[float], predicted: Sequence[float | None], labelled: Sequence[int]
) -> Trajectory:
    """One atom that goes nowhere; labels at the steps that are named."""
    n = len(told)
    return Trajectory(
        symbols=("H",),
        cell=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        pbc=(False, False, False),
        free=((True, True, True),),
        positions=(((0.0, 0.0, 0.0),),) * n,
        energies=tuple(told),
        forces=(((0.0, 0.0, 0.1),),) * n,
        labelled=tuple(step in labelled for step in range(n)),
        fmax=(0.1,) * n,
        predicted_energies=tuple(predicted),
        predicted_fmax=tuple(None if each is None else 0.2 for each in predicted),
        predicted_spread=(None,) * n,
    )


def test_detail_draws_predictions_as_lines_and_labels_as_dots(learner: RelaxationDoc) -> None:
    figure = detail_figure(learner)
    upper, lower = figure.axes
    trajectory = trajectory_of(learner)
    labelled = np.flatnonzero(trajectory.labelled)
    dots = line(upper, "parent's label")
    assert points(dots)[0] == labelled.tolist()
    assert points(dots)[1] == pytest.approx(
        np.array(trajectory.energies)[labelled] - (learner.energy or 0.0)
    )
    assert points(dots)[1][-1] == 0.0
    said = line(upper, "surrogate's prediction")
    assert points(said)[1] == pytest.approx(
        np.array(trajectory.predicted_energies, dtype=float) - (learner.energy or 0.0)
    )
    predicted, dots, threshold = lower.lines
    assert points(predicted)[1] == pytest.approx(trajectory.predicted_fmax)
    assert points(dots)[1] == pytest.approx(np.array(trajectory.fmax)[labelled])
    assert points(threshold)[1] == pytest.approx([0.05, 0.05])
    assert lower.get_yscale() == "log"
    assert legend_of(figure) == [
        "surrogate's prediction",
        "parent's label",
        "threshold, 0.05 eV/Å",
    ]
    assert [each.get_ylabel() for each in figure.axes] == [
        "Energy − final (eV)",
        "Largest force (eV/Å)",
    ]
    assert lower.get_xlabel() == "Step"


def test_detail_joins_the_labels_where_there_is_no_surrogate(bfgs: RelaxationDoc) -> None:
    figure = detail_figure(bfgs, palette=looks(["CG", "BFGS"]))
    upper, _ = figure.axes
    joined, dots = upper.lines
    assert points(joined) == points(dots)
    assert joined.get_linestyle() == "-"
    assert dots.get_color() == looks(["CG", "BFGS"])["BFGS"].color
    assert legend_of(figure) == ["parent's label", "threshold, 0.05 eV/Å"]


def test_detail_needs_an_answer_and_a_trajectory(bfgs: RelaxationDoc) -> None:
    unanswered = build_relaxation_doc(never_answered(slab()), name="fast", spec={})
    with pytest.raises(NothingToDrawError, match="never labelled a geometry"):
        detail_figure(unanswered)
    with pytest.raises(ValueError, match=r"trajectory of .* is not loaded; .*load=True"):
        detail_figure(bfgs.model_copy(update={"trajectory": ELSEWHERE}))
    with pytest.raises(NothingToDrawError, match="has no trajectory"):
        detail_figure(bfgs.model_copy(update={"trajectory": None}))


def test_an_error_of_the_surrogate_is_no_scale() -> None:
    shift = shift_of(walk([0.0, -1.0, -2.0], [0.3, -1.2, -2.1], [0, 2]))
    assert shift == Shift(0.0, 0.0)
    assert shift.sentence == "surrogate's prediction"


def test_a_scale_of_its_own_is_shifted_by_the_mean() -> None:
    trajectory = walk([3.0, -300.0, 2.5, -301.0], [3.0, 2.0, 2.5, 1.2], [1, 3])
    shift = shift_of(trajectory)
    assert shift is not None
    assert shift.before == shift.after == pytest.approx(-302.1)
    assert shift.of_steps(trajectory) == pytest.approx([-302.1] * 4)
    assert shift.sentence == "surrogate's prediction,\nshifted by −302.10 eV"


def test_a_scale_that_the_first_label_told_is_shifted_up_to_there_alone() -> None:
    trajectory = walk([-5.0, -90.0, -90.5, -91.0], [-5.0, -5.5, -90.4, -91.1], [1, 3])
    shift = shift_of(trajectory)
    assert shift is not None
    assert (shift.before, shift.after) == pytest.approx((-84.5, 0.0))
    assert shift.of_steps(trajectory) == pytest.approx([-84.5, -84.5, 0.0, 0.0])
    assert shift.sentence.endswith("shifted by −84.50 eV up to the first label")


def test_a_single_label_tells_the_scale_of_all() -> None:
    shift = shift_of(walk([1.0, -100.0], [1.0, 0.5], [1]))
    assert shift == Shift(-100.5, -100.5)


def test_a_walk_of_the_surrogate_alone_meets_the_first_label() -> None:
    trajectory = walk([2.0, 1.0, -50.0, -50.1], [2.0, 1.0, None, None], [2, 3])
    shift = shift_of(trajectory)
    assert shift == Shift(-51.0, -51.0, joined=True)
    assert shift.sentence.endswith("shifted by −51.00 eV to meet the first label")


def test_without_predictions_there_is_nothing_to_shift() -> None:
    assert shift_of(walk([1.0, 0.0], [None, None], [0, 1])) is None


def test_the_shift_is_drawn_and_said(learner: RelaxationDoc) -> None:
    trajectory = trajectory_of(learner)
    away = tuple(None if each is None else each + 300.0 for each in trajectory.predicted_energies)
    moved = learner.model_copy(
        update={"trajectory": trajectory.model_copy(update={"predicted_energies": away})}
    )
    before, after = (detail_figure(each) for each in (learner, moved))
    (said,) = [name for name in legend_of(after) if "shifted" in name]
    assert said.endswith("shifted by −300.10 eV")  # all that is predicted is 0.1 eV too high
    drawn = line(after.axes[0], said)
    expected = np.array(points(line(before.axes[0], "surrogate's prediction"))[1]) - 0.1
    assert points(drawn)[1] == pytest.approx(expected)


def test_the_endpoint_is_the_label_whose_energy_the_document_has(learner: RelaxationDoc) -> None:
    trajectory = trajectory_of(learner)
    labelled = np.flatnonzero(trajectory.labelled)
    assert endpoint(learner, trajectory) == labelled[-1]
    first = learner.model_copy(update={"energy": trajectory.energies[labelled[0]]})
    assert endpoint(first, trajectory) == labelled[0]


def with_errors(
    doc: RelaxationDoc, before: Sequence[float | None], after: Sequence[float | None]
) -> RelaxationDoc:
    """A ledger that is as long as the errors."""
    assert isinstance(doc.ledger, tuple)
    entries = tuple(
        doc.ledger[0].model_copy(
            update={"index": index, "force_error": one, "tuned_force_error": other}
        )
        for index, (one, other) in enumerate(zip(before, after, strict=True))
    )
    return doc.model_copy(update={"ledger": entries})


def test_force_errors_of_one_relaxation_are_drawn_as_they_are(learner: RelaxationDoc) -> None:
    doc = with_errors(learner, [0.4, 0.2, 0.1], [0.3, 0.1, None])
    figure = force_error_figure([doc])
    (axes,) = figure.axes
    before, after = axes.lines
    assert points(before) == ([1.0, 2.0, 3.0], [0.4, 0.2, 0.1])
    assert points(after)[1][:2] == [0.3, 0.1]
    assert np.isnan(points(after)[1][2])
    assert (before.get_linestyle(), after.get_linestyle()) == ("--", "-")
    assert before.get_markerfacecolor() == "white"
    assert legend_of(figure) == ["before tuning", "after tuning"]
    assert axes.get_ylabel() == "RMS force error (eV/Å)"
    assert axes.get_xlabel() == "Parent call"
    assert axes.get_yscale() == "log"


def test_force_errors_of_several_are_medians_with_quartiles(learner: RelaxationDoc) -> None:
    rng = np.random.default_rng(3)
    errors = [rng.uniform(0.01, 1.0, (2, calls)) for calls in (5, 4, 4, 3, 1)]
    docs = [with_errors(learner, each[0].tolist(), each[1].tolist()) for each in errors]
    upper, lower = force_error_figure(docs).axes
    for row, drawn in enumerate(upper.lines):
        calls, medians = points(drawn)
        assert calls == [1.0, 2.0, 3.0, 4.0]  # two alone got farther
        for call, middle in zip(calls, medians, strict=True):
            known = [each[row, int(call) - 1] for each in errors if each.shape[1] >= call]
            assert middle == pytest.approx(np.median(known))
    band = upper.collections[1].get_paths()[0].vertices
    third = [each[1, 2] for each in errors if each.shape[1] >= 3]
    edges = np.asarray(band)[np.asarray(band)[:, 0] == 3.0][:, 1]
    assert (edges.min(), edges.max()) == pytest.approx(tuple(np.percentile(third, (25, 75))))
    (bars,) = lower.containers
    assert isinstance(bars, BarContainer)
    assert [bar.get_height() for bar in bars.patches] == [5, 4, 4, 3, 1]
    assert lower.get_ylabel() == "Relaxations"


def test_calls_without_an_error_do_not_count(learner: RelaxationDoc) -> None:
    errors = ([None, 0.2, 0.1, None], [0.3, 0.2, None], [None, 0.4, 0.3])
    docs = [with_errors(learner, each, [0.1, *[None] * (len(each) - 1)]) for each in errors[1:]]
    docs.append(with_errors(learner, errors[0], [None] * 4))
    _, lower = force_error_figure(docs).axes
    (bars,) = lower.containers
    assert isinstance(bars, BarContainer)
    assert [bar.get_height() for bar in bars.patches] == [2, 3, 2, 0]


def test_force_errors_of_two_are_drawn_one_by_one(learner: RelaxationDoc) -> None:
    one = with_errors(learner, [0.4, 0.2], [0.3, 0.1])
    other = with_errors(learner, [0.5], [0.2])
    (axes,) = force_error_figure([one, other]).axes
    assert [points(each)[1] for each in axes.lines] == [[0.4, 0.2], [0.5], [0.3, 0.1], [0.2]]


def test_each_method_has_its_panel_and_its_look(learner: RelaxationDoc) -> None:
    doc = with_errors(learner, [0.4, 0.2], [0.3, 0.1])
    other = doc.model_copy(update={"name": "slow"})
    figure = force_error_figure([doc, other], palette=looks(["CG", "slow", "fast"]))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["fast, Cu8O", "slow, Cu8O"]
    colours = [axes.lines[0].get_color() for axes in figure.axes]
    assert colours == [looks(["CG", "slow", "fast"])[name].ink for name in ("fast", "slow")]


def test_force_errors_need_a_surrogate_and_a_ledger(bfgs: RelaxationDoc) -> None:
    with pytest.raises(NothingToDrawError, match="no ledger holds a surrogate's force errors"):
        force_error_figure([bfgs])
    with pytest.raises(ValueError, match=r"ledger of .* is not loaded; .*load=True"):
        force_error_figure([bfgs.model_copy(update={"ledger": ELSEWHERE})])


def test_paths_draw_every_geometry_in_one_plane(
    bfgs: RelaxationDoc, learner: RelaxationDoc
) -> None:
    figure = paths_figure([bfgs, learner], descriptor=SMALL)
    (axes,) = figure.axes
    ways = [each for each in axes.lines if each.get_label() == "_"]
    lengths = [len(trajectory_of(doc).positions) for doc in (bfgs, learner)]
    assert [len(points(way)[0]) for way in ways] == lengths
    one, other = (np.array(points(way)) for way in ways)
    assert one == pytest.approx(other)  # the same way was recorded
    labelled = np.flatnonzero(trajectory_of(learner).labelled)
    assert np.array(points(line(axes, "fast"))) == pytest.approx(other[:, labelled])
    rings = [each for each in axes.lines if each.get_label() == "_end"]
    assert np.array(points(rings[0]))[:, 0] == pytest.approx(one[:, -1])
    assert np.array(points(line(axes, "start")))[:, 0] == pytest.approx(one[:, 0])
    assert legend_of(figure) == ["BFGS", "fast", "start", "end"]
    assert axes.get_xlabel().startswith("Principal component 1 (")
    assert axes.get_xlabel().endswith(" % of variance)")


def test_paths_are_those_of_the_free_atoms_descriptors(bfgs: RelaxationDoc) -> None:
    (axes,) = paths_figure([bfgs], descriptor=SMALL).axes
    atoms = slab()
    free = np.array([False] * 4 + [True] * 5)
    vectors = []
    for positions in trajectory_of(bfgs).positions:
        atoms.positions[:] = positions
        vectors.append(SMALL.of_structure(atoms, free, (8, 29)))
    (way,) = [each for each in axes.lines if each.get_label() == "_"]
    expected = principal_components(np.array(vectors)).scores
    drawn = np.array(points(way)).T
    assert drawn == pytest.approx(expected, abs=1e-6)


def test_paths_refuse_what_is_not_one_system(bfgs: RelaxationDoc) -> None:
    other = build_relaxation_doc(by_bfgs(water()), name="other", spec={})
    with pytest.raises(ValueError, match="of different atoms but must be of one system"):
        paths_figure([bfgs, other])
    with pytest.raises(NothingToDrawError, match="there is no relaxation"):
        paths_figure([])


def test_paths_need_something_that_moves(bfgs: RelaxationDoc) -> None:
    still = trajectory_of(bfgs)
    still = still.model_copy(update={"positions": still.positions[:1] * len(still.positions)})
    with pytest.raises(NothingToDrawError, match="geometries that differ"):
        paths_figure([bfgs.model_copy(update={"trajectory": still})], descriptor=SMALL)
