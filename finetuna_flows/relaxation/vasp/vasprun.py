"""Ionic steps from a vasprun.xml.

Not with pymatgen's reader: it hides where a file ends that is cut off, wants a path where the file
may lie in an archive, and gives the E0 of a whole step, which VASP 5 writes wrongly. Nor with
ASE's, which does not count electronic iterations.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import IO
from xml.etree.ElementTree import Element, ParseError, iterparse

import numpy as np
from ase import Atoms
from pymatgen.io.vasp import Kpoints

from finetuna_flows.errors import ParentError
from finetuna_flows.records import Label
from finetuna_flows.relaxation.vasp.attempt import (
    FinishedRun,
    FinishedStep,
    grid_of,
    level_of,
    list_of,
    moment,
    settings_of,
    warn_of_end,
)
from finetuna_flows.structures.constraints import constraints_from, free_along_axes
from finetuna_flows.vasp.calculation import read_calculation, read_geometry
from finetuna_flows.vasp.level import engine_in

HEAD = ("generator", "incar", "kpoints", "parameters", "atominfo")
SHORT = {"r": "Zr", "X": "Xe"}
"""Symbols that old versions cut."""


def read_vasprun(stream: IO[bytes], source: str) -> FinishedRun:
    """Read settings, start and complete ionic steps.

    Parameters
    ----------
    stream
        Uncompressed.
    source
        What to call it.

    Raises
    ------
    ParentError
        If the file ends before its first geometry, or holds what is not VASP's.
    """
    head: dict[str, Element] = {}
    steps: list[FinishedStep] = []
    energies = 0  # outside of any step of DFT: those of a machine-learned force field
    end: str | None = None
    try:
        for _, element in iterparse(stream):  # noqa: S314 - what the user's own VASP wrote
            if element.tag == "calculation":
                energies -= len(element.findall(".//energy"))
                steps.append(_step(element, f"{source}, ionic step {len(steps) + 1}"))
                element.clear()
            elif element.tag == "energy":
                energies += 1
            elif element.get("name") == "initialpos":
                head["initialpos"] = element
            elif element.tag in HEAD:
                head.setdefault(element.tag, element)
    except ParseError as exc:
        end = f"line {exc.position[0]}"
    except (EOFError, zlib.error) as exc:
        end = str(exc)
    missing = [name for name in (*HEAD, "initialpos") if name not in head]
    if missing:
        where = f" at {end}" if end else ""
        raise ParentError(f"{source} ends{where} without <{missing[0]}>; no geometry is in it")
    if end:
        warn_of_end(source, end, len(steps))
    run = _run(head, steps, source)
    return replace(run, whole=end is None, learned=0 if end else energies)


def _run(head: Mapping[str, Element], steps: list[FinishedStep], source: str) -> FinishedRun:
    try:
        titles = [row[4].text or "" for row in _rows(head["atominfo"], "atomtypes")]
        program = _values(head["generator"])
        engine = engine_in(program.get("subversion", ""))
        given, used = _values(head["incar"]), _values(head["parameters"])
        level, by_number = (
            level_of(given, k_points, titles, engine, worked_with=used)
            for k_points in (_k_points(head["kpoints"]), _listed(head["kpoints"]))
        )
        symbols = [(row[0].text or "").strip() for row in _rows(head["atominfo"], "atoms")]
        cell, positions = read_geometry(head["initialpos"])
        start = Atoms(
            [SHORT.get(each, each) for each in symbols], positions=positions, cell=cell, pbc=True
        )
        flags = head["initialpos"].find("varray[@name='selective']")
        if flags is not None:
            free = np.array([[word == "T" for word in _text(row).split()] for row in flags])
            start.set_constraint(constraints_from(free_along_axes(cell, free)))
        return FinishedRun(
            source=source,
            settings=settings_of({**given, **used}, level, source),
            start=start,
            steps=tuple(steps),
            constraints_known=True,
            levels=frozenset({by_number}),
            started=moment(f"{program.get('date', '')} {program.get('time', '')}"),
        )
    except (KeyError, IndexError, AttributeError, ValueError) as exc:
        raise ParentError(f"{source} is not what VASP writes: {exc}") from exc


def _step(calculation: Element, where: str) -> FinishedStep:
    try:
        filed = read_calculation(calculation)
        label = Label(filed.energy, filed.forces, filed.free_energy, filed.cycles)
    except (ValueError, ParentError) as exc:
        raise ParentError(f"{where} cannot be read: {exc}") from exc
    if filed.cell is None:
        raise AssertionError("vasprun.xml repeats the cell")
    return FinishedStep(filed.positions, filed.cell, label, filed.last_change)


def _values(element: Element) -> dict[str, str]:
    """Values by name; the first where there are several, as of NELM, which response theory has."""
    named = [each for each in element.iter() if each.tag in ("i", "v")]
    return {each.get("name", ""): _text(each) for each in reversed(named)}


def _rows(atominfo: Element, name: str) -> list[list[Element]]:
    return [list(row) for row in atominfo.findall(f"array[@name='{name}']/set/rc")]


def _k_points(element: Element) -> Kpoints:
    generation = element.find("generation")
    divisions = element.find("generation/v[@name='divisions']")
    if generation is None or divisions is None:
        return _listed(element)
    shift = element.find("generation/v[@name='usershift']")
    return grid_of(
        generation.get("param", ""),
        list(map(int, _text(divisions).split())),
        (0.0, 0.0, 0.0) if shift is None else list(map(float, _text(shift).split())),
    )


def _listed(element: Element) -> Kpoints:
    return list_of(len(element.findall("varray[@name='kpointlist']/v")))


def _text(element: Element) -> str:
    return (element.text or "").strip()
