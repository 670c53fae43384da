"""Ionic steps from atomate2's task documents (emmet's ``TaskDoc``), as plain JSON."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints

from finetuna_flows.errors import ParentError
from finetuna_flows.records import Label
from finetuna_flows.relaxation.vasp.attempt import (
    FinishedRun,
    FinishedStep,
    level_of,
    settings_of,
)
from finetuna_flows.structures.convert import to_atoms
from finetuna_flows.vasp.calculation import extrapolated, last_change

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]


def runs_of_task(task: Document, source: str) -> list[FinishedRun]:
    """Every calculation of a task document, in the order of time.

    A document holds the last try of each calculation and no times of single ionic steps; if
    custodian corrected something, the log says so.

    Parameters
    ----------
    task
        With its ionic steps; they are not loaded from another store here.
    source
        What to call it.

    Raises
    ------
    ParentError
        If the document lacks what a relaxation needs; the message says what.
    """
    corrected = sum(len(each.get("corrections") or ()) for each in task.get("custodian") or ())
    if corrected:
        logger.warning(
            "%s: custodian corrected %d times, and the steps before are not in the document; "
            "import its directory to count them",
            source,
            corrected,
        )
    try:
        calculations = list(reversed(task["calcs_reversed"]))
        return [_run(each, f"{source}, {each.get('task_name', '')}") for each in calculations]
    except (KeyError, TypeError) as exc:
        raise ParentError(f"{source} is no task document of a VASP calculation: {exc}") from exc


def _run(calculation: Document, source: str) -> FinishedRun:
    given, found = calculation["input"], calculation["output"]["ionic_steps"]
    if isinstance(found, Mapping):
        raise ParentError(f"{source} has its ionic steps in another store; load the document whole")
    if not found:
        raise ParentError(
            f"{source} has no ionic steps; import its directory {calculation.get('dir_name')}"
        )
    steps, lost = _steps(found, source)
    kpoints = given["kpoints"]
    level = level_of(
        given["incar"],
        kpoints if isinstance(kpoints, Kpoints) else Kpoints.from_dict(dict(kpoints)),
        _titles(given),
        worked_with=given["parameters"],
    )
    return FinishedRun(
        source=source,
        settings=settings_of(given["incar"], given["parameters"], level, source, len(found))[0],
        start=to_atoms(_structure(given.get("structure") or found[0]["structure"])),
        steps=steps,
        lost=lost,
        constraints_known=True,
    )


def _titles(given: Document) -> Iterable[str]:
    specs = given.get("potcar_spec") or ()
    return [str(each["titel"]) for each in specs] or list(map(str, given.get("potcar") or ()))


def _steps(
    found: Sequence[Document], source: str
) -> tuple[tuple[FinishedStep, ...], dict[int, str]]:
    """Ionic steps, and which cannot be read, which the log tells too."""
    steps, lost = [], {}
    for number, each in enumerate(found, start=1):
        where = f"{source} ionic step {number}"
        if not each.get("electronic_steps"):
            raise ParentError(
                f"{where} has no electronic iterations, so neither their number nor a sure E0; "
                "import the directory"
            )
        try:
            steps.append(_step(each))
        except (ParentError, ValueError, TypeError, KeyError) as exc:
            lost[number] = f"{where} cannot be read: {exc}"
            logger.warning("damaged, left out: %s", lost[number])
    return tuple(steps), lost


def _step(step: Document) -> FinishedStep:
    """One ionic step; see `vasp.calculation.extrapolated` for its energy."""
    structure, iterations = _structure(step["structure"]), step["electronic_steps"]
    free_energy = float(step["e_fr_energy"])
    return FinishedStep(
        positions=np.asarray(structure.cart_coords, dtype=np.float64),
        cell=np.asarray(structure.lattice.matrix, dtype=np.float64),
        label=Label(
            energy=extrapolated(free_energy, iterations[-1]),
            forces=np.array(step["forces"], dtype=np.float64),
            free_energy=free_energy,
            scf_cycles=len(iterations),
        ),
        last_change=last_change([float(each["e_fr_energy"]) for each in iterations[-2:]]),
    )


def _structure(held: Structure | Document) -> Structure:
    return held if isinstance(held, Structure) else Structure.from_dict(dict(held))
