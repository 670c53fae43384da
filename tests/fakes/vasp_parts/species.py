"""What POTCAR says of the elements, or what stands in for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ase.data import atomic_masses, atomic_numbers

from .structure import Structure

NOBLE = (0, 2, 10, 18, 36, 54, 86)


@dataclass(frozen=True)
class Species:
    """One data set."""

    symbol: str
    title: str
    mass: float
    valence: float


def read_species(directory: Path, structure: Structure) -> tuple[Species, ...]:
    """One for each block of atoms, from POTCAR where its order fits, else made up."""
    path = directory / "POTCAR"
    text = path.read_text(errors="replace") if path.is_file() else ""
    titles = [" ".join(words.split()) for words in re.findall(r"TITEL\s*=\s*(.+)", text)]
    valences = [float(word) for word in re.findall(r"ZVAL\s*=\s*([\d.]+)", text)]
    named = [re.split(r"[ _]", title.partition(" ")[2])[0] for title in titles]
    if tuple(named) != structure.kinds or len(valences) != len(titles):
        titles = [f"PAW_PBE {kind} 01Jan2000" for kind in structure.kinds]
        valences = [_outer_electrons(kind) for kind in structure.kinds]
    return tuple(
        Species(kind, title, float(atomic_masses[atomic_numbers[kind]]), valence)
        for kind, title, valence in zip(structure.kinds, titles, valences, strict=True)
    )


def _outer_electrons(symbol: str) -> float:
    number: int = atomic_numbers[symbol]
    return float(number - max(core for core in NOBLE if core < number))


def count_electrons(structure: Structure, species: tuple[Species, ...]) -> float:
    """All valence electrons."""
    pairs = zip(structure.counts, species, strict=True)
    return sum(count * one.valence for count, one in pairs)
