"""One run of VASP of two readings of it."""

from __future__ import annotations

import logging
from dataclasses import replace

from finetuna_flows.errors import ParentError
from finetuna_flows.relaxation.vasp.attempt import FinishedRun
from finetuna_flows.relaxation.vasp.history import SAME_ENERGY

logger = logging.getLogger(__name__)


def merged(xml: FinishedRun, outcar: FinishedRun) -> FinishedRun:
    """Every ionic step of vasprun.xml with the time in OUTCAR, and what only one of them has.

    Steps whose energies differ are lost, since it is not known which of the files is damaged.

    Raises
    ------
    ParentError
        If half of them or more differ: then the files are of two calculations.
    """
    one, other = xml.numbered, outcar.numbered
    odd = _different(xml, outcar)
    if odd and 2 * len(odd) >= len(one.keys() & other.keys()):
        raise ParentError(
            f"{xml.source} and {outcar.source} are not of one calculation: "
            f"{next(iter(odd.values()))}; name the one that is meant"
        )
    steps, lost = [], {}
    for number in range(1, max(xml.n_steps, outcar.n_steps) + 1):
        found = one.get(number, other.get(number))
        if number in odd:
            lost[number] = f"{xml.source} and {outcar.source} contradict each other: {odd[number]}"
        elif found is None:
            lost[number] = xml.lost.get(number) or outcar.lost[number]
        else:
            time = other[number].label.wall_time if number in other else 0.0
            steps.append(replace(found, label=replace(found.label, wall_time=time)))
    healed = {number: run.lost[number] for run in (xml, outcar) for number in run.lost}
    for number in sorted(healed.keys() - lost.keys()):
        logger.warning("%s; the other file has it", healed[number])
    return replace(
        xml,
        steps=tuple(steps),
        lost=lost,
        damaged=(*xml.damaged, *outcar.damaged),
        levels=xml.levels | outcar.levels,
        whole=xml.whole or outcar.whole,
        gave_up=outcar.gave_up,
    )


def _different(xml: FinishedRun, outcar: FinishedRun) -> dict[int, str]:
    """Numbers of the steps whose F differs, with its values."""
    one, other = xml.numbered, outcar.numbered
    found = {}
    for number in sorted(one.keys() & other.keys()):
        mine, theirs = one[number].label.force_energy, other[number].label.force_energy
        if abs(mine - theirs) > SAME_ENERGY:
            found[number] = f"F of ionic step {number} is {mine} and {theirs} eV"
    return found
