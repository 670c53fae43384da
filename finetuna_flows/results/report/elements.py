"""How an element is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ase.data import atomic_numbers, covalent_radii
from ase.data.colors import jmol_colors


def looks(symbols: Iterable[str]) -> Mapping[str, object]:
    """Jmol's colour as ``#rrggbb`` and the covalent radius in Å of each element, as in ASE."""
    return {
        symbol: {"color": _hexadecimal(number), "radius": round(float(covalent_radii[number]), 2)}
        for symbol in sorted(set(symbols))
        for number in (atomic_numbers[symbol],)
    }


def _hexadecimal(number: int) -> str:
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in jmol_colors[number])
