"""Whether a parent's forces are the gradient of its energies, asked of its labels alone.

Between two geometries a displacement d apart, E(b) - E(a) is the integral of the slope -F·d along
the straight line. The trapezoid -(F(a) + F(b))·d/2 misses it by a term of third order in d. The
change of slope along the way, |(F(b) - F(a))·d|, is of second order, so the error is a part of
it that grows in proportion to d; and where the slope changes monotonically, the integral lies
between the slopes of the two ends, so the part is at most a half. A parent whose energies miss
the trapezoid by more contradicts itself. No model is needed, and no call of the parent.

Calibrated on the 97 relaxations that Musielewicz et al. published (Mach. Learn.: Sci. Technol. 3,
03LT01, 2022; VASP, RPBE). Of some 49 000 pairs of labels between which no atom moves farther than
0.15 Å, and of labels and their nearest earlier one up to 0.3 Å, none exceeds that part by more than
4.1 meV. Of the 29 that lie farther from their nearest one, none exceeds the whole change of slope
by more than 19 meV. From 0.15 Å on, other pairs may have another minimum between them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from finetuna_flows.geometry import Array, Mask
from finetuna_flows.records import Label, Step

NEAR = 0.15
"""Å; a label is compared with all recent ones from which no atom has moved farther, …"""
FULL_ERROR = 0.3
"""Å; the trapezoid may miss this part of the change of slope: the largest displacement of an atom
over this length, but not more than a half."""
ENERGY_FLOOR = 0.01
"""eV that it may miss besides: two and a half times the most seen with VASP."""
FAR = 1.0
"""Å; … and with the nearest one up to this displacement. Beyond `FULL_ERROR` the trapezoid may miss
the whole change of slope and …"""
FAR_FLOOR = 0.1
"""… this much besides, eV."""
COMPARED = 20
"""Each label is compared with as many before it."""
FEW = 3
"""Contradicting labels that are told only; a relaxation stops at the next one, provided that they
are more than `SHARE` of those that could be judged."""
SHARE = 0.25
"""Of the judged labels; where more contradict, and more than one, the parent does, and not one
calculation."""
FACTORS = {
    -1.0: "forces of the wrong sign",
    51.4221: "forces in Hartree/Bohr",
    25.7110: "forces in Rydberg/Bohr",
    27.2114: "forces in Hartree/Å",
    13.6057: "forces in Rydberg/Å",
    1.88973: "forces in eV/Bohr",
    0.0433641: "forces in kcal/mol/Å",
    0.0103643: "forces in kJ/mol/Å",
    0.0367493: "energies in Hartree",
    0.0734986: "energies in Rydberg",
}
"""What forces would have to be multiplied by, and why (CODATA 2018)."""
AMBIGUOUS = 2
"""Where more of `FACTORS` fit, the labels do not tell which it is."""


@dataclass(frozen=True)
class Pair:
    """Two labels and what they say of the way between them."""

    first: int
    """Number of the earlier label, from 0."""
    second: int
    """Number of the later one."""
    energy_change: float
    """eV; of the energy that the forces belong to."""
    work: float
    """eV; what the forces say it should be, by the trapezoid rule."""
    error: float
    """eV; by how much that rule may miss, in proportion to the forces."""
    floor: float
    """eV; by how much energies may differ besides."""

    @property
    def tolerance(self) -> float:
        """By how much energy change and work may differ, eV."""
        return self.error + self.floor

    @property
    def contradicts(self) -> bool:
        """Whether no smooth energy has these forces."""
        return not self.fits(1.0)

    @property
    def telling(self) -> bool:
        """Whether the change is large enough for a contradiction to show."""
        return self.contradicts or max(abs(self.energy_change), abs(self.work)) > self.tolerance

    def fits(self, factor: float) -> bool:
        """Whether the forces times `factor` may be the gradient of the energy."""
        missed = abs(self.energy_change - factor * self.work)
        return missed <= abs(factor) * self.error + self.floor


@dataclass(frozen=True)
class Consistency:
    """What the labels of one relaxation say of the parent's forces."""

    labels: int = 0
    """How many there were."""
    judged: int = 0
    """Those that lie near enough to an earlier one and far enough downhill to be judged by it."""
    contradicting: int = 0
    """Those among them that contradict more than half of the labels near them."""
    newest_contradicts: bool = False
    """Whether the newest judged label is one of these."""
    worst: Pair | None = None
    """The contradicting pair that misses its tolerance by most; None where none does."""
    cause: str | None = None
    """What the contradictions have in common; None where there are none."""
    net_force: float | None = None
    """eV/Å; median over the labels of the length of the sum of all forces, which is zero where
    nothing but the atoms acts on the atoms. None where the parent tells fixed atoms no force."""
    noise: float | None = None
    """eV/Å an atom; `net_force` over the root of the number of atoms, which is the error of one
    atom's force if all are as large and independent."""

    @property
    def gradient(self) -> bool:
        """Whether the forces may pass for the gradient of the energies."""
        return not self.newest_contradicts and self.contradicting <= max(1, SHARE * self.judged)

    @property
    def hopeless(self) -> bool:
        """Whether so many labels contradict that more of them would be wasted."""
        return self.contradicting > FEW and self.contradicting > SHARE * self.judged

    @property
    def sentence(self) -> str | None:
        """The worst contradiction in numbers; None where there is none."""
        if self.worst is None:
            return None
        pair = self.worst
        return (
            f"between labels {pair.first + 1} and {pair.second + 1} the parent's energy changed by "
            f"{pair.energy_change:+.4f} eV, but its forces say {pair.work:+.4f} ± "
            f"{pair.tolerance:.4f} eV: {self.cause} ({self.contradicting} of {self.judged} labels "
            "that can be judged contradict)"
        )

    def noisier_than(self, fmax: float) -> str | None:
        """Say that the forces are noisier than the threshold (eV/Å); None where they are not."""
        if self.noise is None or self.net_force is None or self.noise <= fmax:
            return None
        return (
            f"the parent's forces add up to {self.net_force:.3f} eV/Å where those of atoms alone "
            f"add up to zero: an error of about {self.noise:.3f} eV/Å an atom, above the threshold "
            f"of {fmax:g}; raise the parent's accuracy (cutoff, grid, k-points) or `fmax`"
        )


class ConsistencyCheck:
    """Compares each new label with those before it.

    Parameters
    ----------
    free
        Which components may move, shape (n, 3).
    """

    def __init__(self, free: Mask) -> None:
        self._fixed: Mask = np.asarray(~free.any(axis=1))
        self._recent: deque[tuple[int, Array, Label]] = deque(maxlen=COMPARED)
        self._contradictions: list[Pair] = []
        self._net: list[float] = []
        self._labels = self._judged = self._contradicting = 0
        self._newest_contradicts = False

    def add(self, step: Step) -> None:
        """Compare a labelled step with the labels so far."""
        label = step.label
        if label is None:
            return
        pairs = list(self._compare(step.positions, label))
        if any(pair.telling for pair in pairs):
            contradicting = [pair for pair in pairs if pair.contradicts]
            self._newest_contradicts = 2 * len(contradicting) > len(pairs)
            self._judged += 1
            self._contradicting += self._newest_contradicts
            self._contradictions += contradicting
        self._recent.append((self._labels, step.positions, label))
        self._labels += 1
        if not self._fixed.any() or label.forces[self._fixed].any():
            self._net.append(_net_force(label))

    @property
    def result(self) -> Consistency:
        """What the labels so far say."""
        net = float(np.median(self._net)) if self._net else None
        return Consistency(
            labels=self._labels,
            judged=self._judged,
            contradicting=self._contradicting,
            newest_contradicts=self._newest_contradicts,
            worst=max(self._contradictions, key=_excess, default=None),
            cause=_cause(self._contradictions) if self._contradictions else None,
            net_force=net,
            noise=None if net is None else net / np.sqrt(len(self._fixed)),
        )

    def _compare(self, positions: Array, label: Label) -> Iterable[Pair]:
        """The pairs of a new label with those that lie near, with the nearest one, and with equals.

        Two geometries do not have the same energy to the last bit, however far they are apart.
        """
        ways = [positions - earlier for _, earlier, _ in self._recent]
        reaches = [float(np.linalg.norm(way, axis=1).max(initial=0.0)) for way in ways]
        limit = max(NEAR, min(FAR, min(reaches, default=0.0)))
        for (number, _, known), way, reach in zip(self._recent, ways, reaches, strict=True):
            equal = label.force_energy == known.force_energy
            if reach > 0 and (reach <= limit or equal):
                before, after = (-float((each.forces * way).sum()) for each in (known, label))
                noise = max(_net_force(known), _net_force(label)) / np.sqrt(len(way))
                far = reach > FULL_ERROR
                part = 0.0 if equal else 1.0 if far else min(reach / FULL_ERROR, 0.5)
                yield Pair(
                    first=number,
                    second=self._labels,
                    energy_change=label.force_energy - known.force_energy,
                    work=(before + after) / 2,
                    error=float(part * abs(after - before) + noise * np.linalg.norm(way)),
                    floor=FAR_FLOOR if far and not equal else ENERGY_FLOOR,
                )


def check_consistency(steps: Iterable[Step], free: Mask) -> Consistency:
    """What all labels of a relaxation say of the parent's forces.

    Parameters
    ----------
    steps
        Positions not wrapped into the cell, oldest first; those without a label are passed over.
    free
        Which components may move, shape (n, 3).
    """
    check = ConsistencyCheck(free)
    for step in steps:
        check.add(step)
    return check.result


def changes_as_told(first: Step, second: Step) -> bool:
    """Whether the energy between two near labels changes by what their forces say, within a half.

    That tells right forces from those of another unit or sign beside a minimum too, where a
    tolerance in proportion to the change of slope exceeds the whole change of the energy. Changes
    below half of `ENERGY_FLOOR` tell nothing.
    """
    if first.label is None or second.label is None:
        raise ValueError("both steps need a label")
    way = second.positions - first.positions
    mean = (first.label.forces + second.label.forces) / 2
    told = -float((mean * way).sum())
    change = second.label.force_energy - first.label.force_energy
    size = max(abs(change), abs(told))
    return size > ENERGY_FLOOR / 2 and abs(change - told) <= size / 2


def _net_force(label: Label) -> float:
    return float(np.linalg.norm(label.forces.sum(axis=0)))


def _excess(pair: Pair) -> float:
    return abs(pair.energy_change - pair.work) - pair.tolerance


def _cause(pairs: list[Pair]) -> str:
    """What contradicting pairs have in common, in words."""
    changes = np.array([pair.energy_change for pair in pairs])
    if not changes.any():
        return "the energy is the same at every geometry"
    fitting = [factor for factor in FACTORS if all(pair.fits(factor) for pair in pairs)]
    if 0 < len(fitting) <= AMBIGUOUS:
        causes = " or ".join(FACTORS[factor] for factor in fitting)
        return f"forces times {fitting[0]:.4g} would fit, as with {causes}"
    works = np.array([pair.work for pair in pairs])
    best = float(changes @ works / (works @ works)) if works.any() else 0.0
    if len(pairs) > 1 and all(pair.fits(best) for pair in pairs):
        return f"forces times {best:.3g} would fit"
    return (
        "this looks like energies that drift, another electronic state, or a unit that these "
        "labels do not tell"
    )
