"""From the labels of one system to its fitted parent, checked on labels that were left out."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from ase.optimize import BFGS

from benchmarks.fitted_parent import Array, FittedParent, FittedParentCalculator, Indices
from benchmarks.fitting.frames import Labels
from benchmarks.fitting.gp_part import GPSettings, gp_fields
from benchmarks.fitting.pair_part import GAUSSIANS, PairRows, empty_parent, live, pair_rows

SAME_LABEL = 1e-3
"""Å; labels nearer than this to a centre are not made centres too."""
APART = 0.02
"""Å; how far the centres that are added for their errors lie apart, as long as there are such."""
BALL = 0.1
"""Å; around a label left out, all labels are left out that are nearer than this."""
BALLS = 8
FMAX = 0.03
"""eV/Å of the BFGS relaxation that the parent is checked by."""
BFGS_STEPS = 500


@dataclass(frozen=True)
class Fit:
    """A fitted parent and how good it is; energies in eV, forces in eV/Å, distances in Å."""

    data: dict[str, object]
    """Fields of its file."""
    report: dict[str, object]


def fit_parent(labels: Labels, settings: GPSettings, seed: int) -> Fit:
    """Fit, leave labels out and fit again, and relax on the result.

    Parameters
    ----------
    seed
        Of the choice of labels that are left out.
    """
    rows = pair_rows(labels, live(empty_parent(labels)))
    everything = np.arange(len(labels.x))
    centres, data = _fit(labels, rows, everything, settings)
    parent = FittedParent({**data, "meta": "{}"})
    rest = np.setdiff1d(everything, centres)
    report: dict[str, object] = {
        "n_atoms": len(labels.start),
        "n_free": len(labels.free),
        "n_frames": len(labels.x),
        "n_train": len(centres),
        "dropped_fixed_atoms_moved": labels.dropped_moved,
        "dropped_extreme": labels.dropped_extreme,
        "force_rmse_train": _rms(errors(parent, labels, centres)[:, 1:]),
        "energy_rmse_train": _rms(errors(parent, labels, centres)[:, 0]),
    }
    if len(rest):
        report["force_rmse_not_train"] = _rms(errors(parent, labels, rest)[:, 1:])
        report["energy_rmse_not_train"] = _rms(errors(parent, labels, rest)[:, 0])
    report["left_out"] = leave_out(labels, rows, settings, seed)
    report |= relax_on(parent)
    report["usable"] = bool(report["bfgs_converged"]) and not report["bfgs_off_domain"]
    data["meta"] = json.dumps(
        {
            "length_A": settings.length,
            "noise_energy_eV": settings.energy_noise,
            "noise_force_eV_per_A": settings.force_noise,
            "prior_sigma_eV": data["prior_width"],
            **report,
        }
    )
    del data["prior_width"]
    return Fit(data, report)


def errors(parent: FittedParent, labels: Labels, chosen: Indices) -> Array:
    """Energy and force errors at the `chosen` labels, shape (k, 1 + D)."""
    found = []
    positions = labels.start.positions.copy()
    for index in chosen:
        positions[labels.free] = labels.x[index].reshape(-1, 3)
        energy, forces = parent.energy_and_forces(positions)
        predicted = np.r_[energy, forces[labels.free].ravel()]
        found.append(predicted - np.r_[labels.energies[index], labels.forces[index]])
    return np.array(found)


def leave_out(
    labels: Labels, rows: PairRows, settings: GPSettings, seed: int
) -> list[dict[str, float]]:
    """Predict labels from a fit that has seen none within 0.1 Å of them.

    To save time that fit has half as many rows in its covariance.
    """
    smaller = GPSettings(
        settings.kernel,
        settings.length,
        settings.energy_noise,
        settings.force_noise,
        settings.largest_size // 2,
    )
    rng = np.random.default_rng(seed)
    found = []
    for index in rng.permutation(len(labels.x))[:BALLS]:
        away = distances(labels.x, labels.x[index])
        seen = np.flatnonzero(away > BALL)
        if len(seen) < 2:
            continue
        _, data = _fit(labels, rows, seen, smaller)
        (error,) = errors(FittedParent({**data, "meta": "{}"}), labels, np.array([index]))
        found.append(
            {
                "distance": float(away[seen].min()),
                "energy_error": float(error[0]),
                "force_rmse": _rms(error[1:]),
                "force_rms": _rms(labels.forces[index]),
            }
        )
    return found


def relax_on(parent: FittedParent) -> dict[str, object]:
    """Relax by BFGS from the start: calls, end, and how far from all labels that led."""
    atoms = parent.start
    atoms.calc = FittedParentCalculator(parent)
    told: list[float] = []
    optimizer = BFGS(atoms, logfile=None)
    optimizer.attach(lambda: told.append(atoms.calc.results["distance_to_data"]))
    converged = optimizer.run(fmax=FMAX, steps=BFGS_STEPS)
    return {
        "n_bfgs_parent": len(told),
        "e_bfgs_parent": float(atoms.get_potential_energy()),
        "bfgs_converged": bool(converged),
        "bfgs_off_domain": bool(max(told) > atoms.calc.off_domain_distance),
        "max_distance_on_bfgs": float(max(told)),
    }


def distances(x: Array, point: Array) -> Array:
    """Farthest way of an atom between `point` (D,) and each of `x` (M, D), in Å, shape (M,)."""
    squares = ((x - point).reshape(len(x), -1, 3) ** 2).sum(axis=2)
    found: Array = np.sqrt(squares.max(axis=1))
    return found


def spread_out(x: Array, first: Indices, count: int) -> Indices:
    """Choose up to `count` of `x` (M, D): the `first` ones, then always the farthest from all."""
    chosen: list[int] = []
    nearest = np.full(len(x), np.inf)
    for index in first[:count]:
        if nearest[index] > SAME_LABEL:
            chosen.append(int(index))
            nearest = np.minimum(nearest, distances(x, x[index]))
    while len(chosen) < count and nearest.max() > SAME_LABEL:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distances(x, x[chosen[-1]]))
    return np.array(chosen)


def _fit(
    labels: Labels, rows: PairRows, seen: Indices, settings: GPSettings
) -> tuple[Indices, dict[str, object]]:
    """Fit both parts to the labels `seen`; where they are too many, choose the centres in two goes.

    Half of them are spread out, and the rest go where a fit to these is worst.
    """
    heights, offset = rows.fit(seen)
    misfit = rows.misfit(heights, offset)
    data = empty_parent(labels)
    data |= {"pair_coefficients": heights.reshape(-1, GAUSSIANS), "pair_offset": offset}
    room = settings.largest_size // misfit.shape[1]
    first = np.searchsorted(seen, np.intersect1d(_ends(labels), seen))
    chosen = seen[spread_out(labels.x[seen], first, room if len(seen) <= room else room // 2)]
    if len(chosen) < room:
        trial = data | gp_fields(labels.x, misfit, chosen, settings)
        chosen = _where_worst(labels, FittedParent({**trial, "meta": "{}"}), seen, chosen, room)
    return chosen, data | gp_fields(labels.x, misfit, chosen, settings)


def _where_worst(
    labels: Labels, parent: FittedParent, seen: Indices, chosen: Indices, room: int
) -> Indices:
    rest = np.setdiff1d(seen, chosen)
    if not len(rest):
        return chosen
    wrong = np.sqrt((errors(parent, labels, rest)[:, 1:] ** 2).mean(axis=1))
    nearest = np.min([distances(labels.x, labels.x[index]) for index in chosen], axis=0)
    added: list[int] = []
    worst_first = rest[np.argsort(-wrong)]
    for apart in (APART, SAME_LABEL):
        for index in worst_first:
            if len(chosen) + len(added) < room and nearest[index] > apart:
                added.append(int(index))
                nearest = np.minimum(nearest, distances(labels.x, labels.x[index]))
    return np.sort(np.r_[chosen, np.array(added, dtype=np.int64)])


def _ends(labels: Labels) -> Indices:
    """First and last label of each relaxation."""
    runs = [np.flatnonzero(labels.sources == name) for name in np.unique(labels.sources)]
    return np.array([index for run in runs for index in (run[0], run[-1])])


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
