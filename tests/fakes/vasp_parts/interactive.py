"""Positions over stdin, forces over stdout."""

from __future__ import annotations

import sys
from dataclasses import replace

from .fortran import InputError, row
from .run import Run
from .structure import Structure, read_poscar, read_positions


def _line() -> str:
    text = sys.stdin.readline()
    if not text:
        raise EOFError
    return text


def converse(run: Run, structure: Structure) -> None:
    """Answer for one geometry after another until something says that this was the last."""
    start = structure
    while True:
        run.evaluate(structure)
        if run.reached:
            return
        last = run.stop is not None or run.steps >= run.scene.job.nsw
        try:
            structure = _ask(run, structure, start)
        except EOFError:
            return
        if last:
            return


def _ask(run: Run, structure: Structure, start: Structure) -> Structure:
    new = run.scene.switches.speaks_new
    if new and run.scene.job.isif >= 3:
        run.say("POSITIONS AND LATTICE: reading from stdin\n")
        given = read_poscar(_line)
        if given.counts != structure.counts:
            raise InputError(
                f"the POSCAR on stdin has atoms {given.counts} but the run has {structure.counts}"
            )
        structure = replace(structure, cell=given.cell, positions=given.positions)
    else:
        run.say("POSITIONS: reading from stdin\n")
        structure = structure.moved(read_positions(_line, len(structure)))
    if new:
        run.say(f"N_ATOMS{len(structure):6d}\n")
        return structure
    echo = [*structure.positions, *start.positions]  # the second half never changes in VASP's
    run.say("".join(f"{row(position, 14, 7)}\n" for position in echo))
    run.say("POSITIONS: read from stdin\n")
    return structure
