"""Ionic steps from a vasprun.xml.

Not with pymatgen's reader: it hides where a file ends that is cut off, wants a path where the file
may lie in an archive, and gives the E0 of a whole step, which VASP 5 writes wrongly. Nor with
ASE's, which does not count electronic iterations. Both stop at the first byte that is damaged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from typing import IO
from xml.etree.ElementTree import Element

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from pymatgen.io.vasp import Kpoints

from finetuna_flows.errors import ParentError
from finetuna_flows.geometry import Array, Mask
from finetuna_flows.records import Label
from finetuna_flows.relaxation.vasp.attempt import (
    FinishedRun,
    FinishedStep,
    grid_of,
    level_of,
    list_of,
    moment,
    settings_of,
    step_words,
    unknown_level,
    warn_of_end,
)
from finetuna_flows.relaxation.vasp.vasprun_pieces import Kind, Piece, element, pieces
from finetuna_flows.structures.constraints import constraints_from, free_along_axes
from finetuna_flows.vasp.calculation import read_calculation, read_geometry
from finetuna_flows.vasp.level import engine_in

HEAD = ("generator", "incar", "kpoints", "parameters", "atominfo", "structure")
SECTION = {
    **{name: re.compile(rf"<{name}>.*?</{name}>", re.DOTALL) for name in HEAD[:-1]},
    "structure": re.compile(r'<structure name="initialpos" ?>.*?</structure>', re.DOTALL),
}
VALUE = re.compile(r'<([iv])\b[^<>]*\bname="(\w+)"[^<>]*>([^<]*)</\1>')
ATOM = re.compile(r"<rc><c>\s*([A-Za-z]+)\s*</c><c>\s*\d+\s*</c></rc>")
SPECIES = re.compile(
    r"<rc><c>\s*(\d+)\s*</c><c>\s*([A-Za-z]+)\s*</c><c>[^<]*</c><c>[^<]*</c><c>([^<]*)</c></rc>"
)
SHORT = {"r": "Zr", "X": "Xe"}
"""Symbols that old versions cut."""


def read_vasprun(stream: IO[bytes], source: str) -> FinishedRun:
    """Read settings, start and complete ionic steps.

    Steps that cannot be read are `FinishedRun.lost`; the others stay.

    Parameters
    ----------
    stream
        Uncompressed.
    source
        What to call it.

    Raises
    ------
    ParentError
        If the file ends before its first geometry, or does not tell its atoms or what it was.
    """
    head = ""
    steps: list[FinishedStep] = []
    lost: dict[int, str] = {}
    end = Piece(Kind.END, "", 0)
    for piece in pieces(stream):
        number = len(steps) + len(lost) + 1
        if piece.kind is Kind.HEAD:
            head = piece.text
        elif piece.kind is Kind.END:
            end = piece
        else:
            try:
                steps.append(_step(piece))
            except (ValueError, ParentError) as exc:
                lost[number] = step_words(source, number, piece.line, exc)
    run = _run(head, steps, lost, source, end)
    if end.end:
        warn_of_end(source, end.end, run.n_steps)
    return replace(run, whole=not end.end, learned=0 if end.end else end.outside)


def _run(
    head: str, steps: list[FinishedStep], lost: dict[int, str], source: str, end: Piece
) -> FinishedRun:
    found = {name: match[0] for name in HEAD if (match := SECTION[name].search(head))}
    missing = [name for name in HEAD if name not in found]
    if missing and not steps:
        name = "initialpos" if missing[0] == "structure" else missing[0]
        where = f" at {end.end}" if end.end else ""
        raise ParentError(f"{source} ends{where} without <{name}>; no geometry is in it")
    damaged = [f"{source} has no whole <{name}>" for name in missing]
    parsed: dict[str, Element] = {}
    for name, text in found.items():
        try:
            parsed[name] = element(text)
        except ValueError as exc:
            damaged.append(f"<{name}> of {source} is damaged: {exc}")
    program = _values(found.get("generator", ""))
    given, used = _values(found.get("incar", "")), _values(found.get("parameters", head))
    kinds = SPECIES.findall(found.get("atominfo", head))
    start, known = _start(parsed, found.get("atominfo", head), steps, lost, source, damaged)
    kpoints = parsed.get("kpoints", Element("kpoints"))
    titles = [title for _, _, title in kinds]
    engine = engine_in(program.get("subversion", ""))
    try:
        level, by_number = (
            level_of(given, each, titles, engine, worked_with=used)
            for each in (_k_points(kpoints), _listed(kpoints))
        )
    except (ValueError, LookupError) as exc:
        level = by_number = unknown_level(source)
        damaged.append(f"{source} does not tell its level of theory: {exc}")
    settings, unsaid = settings_of(given, used, level, source, len(steps) + len(lost))
    return FinishedRun(
        source=source,
        settings=settings,
        start=start,
        steps=_of_one_size(steps, lost, len(start), source),
        constraints_known=known,
        levels=frozenset({by_number}),
        lost=lost,
        damaged=(*damaged, *unsaid),
        started=moment(f"{program.get('date', '')} {program.get('time', '')}"),
    )


def _start(
    parsed: Mapping[str, Element],
    atominfo: str,
    steps: list[FinishedStep],
    lost: Mapping[int, str],
    source: str,
    damaged: list[str],
) -> tuple[Atoms, bool]:
    """The first geometry, and whether it is known which of its atoms are fixed."""
    structure, free = parsed.get("structure"), None
    try:
        if structure is None:
            raise ValueError("no first geometry")
        cell, positions = read_geometry(structure)
        free = _free(structure, cell, len(positions))
    except ValueError as exc:
        structure = None
        if not steps or 1 in lost:
            raise ParentError(f"{source} is not what VASP writes: {exc}") from exc
        damaged.append(f"{source}: {exc}; that of ionic step 1 is taken, without constraints")
        cell, positions = steps[0].cell, steps[0].positions
    symbols = _symbols(atominfo, len(positions), source, damaged)
    start = Atoms(symbols, positions=positions, cell=cell, pbc=True)
    if free is not None:
        start.set_constraint(constraints_from(free))
    return start, structure is not None


def _free(structure: Element, cell: Array, n_atoms: int) -> Mask | None:
    flags = structure.find("varray[@name='selective']")
    if flags is None:
        return None
    words = [_text(row).split() for row in flags]
    if len(words) != n_atoms or any(len(row) != 3 or not set(row) <= {"T", "F"} for row in words):
        raise ValueError(f"selective dynamics of {n_atoms} atoms cannot be read")
    return free_along_axes(cell, np.array([[word == "T" for word in row] for row in words]))


def _symbols(atominfo: str, n_atoms: int, source: str, damaged: list[str]) -> list[str]:
    """Symbol of each atom, which the list of atoms and that of kinds tell both."""
    kinds = [(int(n), symbol) for n, symbol, _ in SPECIES.findall(atominfo)]
    by_atom = [SHORT.get(each, each) for each in ATOM.findall(atominfo)]
    by_kind = [SHORT.get(symbol, symbol) for n, symbol in kinds for _ in range(min(n, n_atoms))]
    usable = [
        each
        for each in (by_kind, by_atom)
        if len(each) == n_atoms and set(each) <= set(chemical_symbols)
    ]
    if not usable:
        raise ParentError(f"{source} does not tell its {n_atoms} atoms; <atominfo> is damaged")
    if by_kind != by_atom:
        damaged.append(f"<atominfo> of {source} contradicts itself; {len(usable)} of 2 lists fit")
    return usable[0]


def _of_one_size(
    steps: list[FinishedStep], lost: dict[int, str], n_atoms: int, source: str
) -> tuple[FinishedStep, ...]:
    """Steps with as many forces as there are atoms; the others are lost too."""
    numbers = [each for each in range(1, len(steps) + len(lost) + 1) if each not in lost]
    kept = []
    for number, step in zip(numbers, steps, strict=True):
        if len(step.positions) == n_atoms:
            kept.append(step)
        else:
            rows = f"has {len(step.positions)} rows of forces for {n_atoms} atoms"
            lost[number] = f"{source} ionic step {number} {rows}"
    return tuple(kept)


def _step(piece: Piece) -> FinishedStep:
    if piece.kind is Kind.BROKEN:
        raise ValueError("its <calculation> has no beginning or no end")
    filed = read_calculation(element(piece.text))
    label = Label(filed.energy, filed.forces, filed.free_energy, filed.cycles)
    if filed.cell is None:
        raise AssertionError("vasprun.xml repeats the cell")
    return FinishedStep(filed.positions, filed.cell, label, filed.last_change)


def _values(text: str) -> dict[str, str]:
    """Values by name; the first where there are several, as of NELM, which response theory has.

    Each stands in a line of its own, so that damage in one leaves the others.
    """
    found = [(name, unescape(value).strip()) for _, name, value in VALUE.findall(text)]
    return dict(reversed(found))


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
