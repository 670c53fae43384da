"""VASP's level of theory in words, the same for a parent and for files that exist already.

Only what changes energies and forces is named: two calculations whose words are equal can be
compared. VASP's version is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pymatgen.io.vasp import Kpoints

FUNCTIONALS = {
    "PE": "PBE",
    "RP": "RPBE",
    "PS": "PBEsol",
    "91": "PW91",
    "AM": "AM05",
    "RE": "revPBE",
    "BF": "BEEF-vdW",
    "CA": "LDA",
    "OR": "optPBE",
    "BO": "optB88",
    "MK": "optB86b",
}
"""Words for GGA; where it is missing, the POTCARs say it."""

NAMED = (
    "METAGGA",
    "LHFCALC",
    "AEXX",
    "HFSCREEN",
    "IVDW",
    "LUSE_VDW",
    "LDAU",
    "LDAUTYPE",
    "LDAUL",
    "LDAUU",
    "LDAUJ",
    "PREC",
    "LASPH",
    "NELECT",
    "NUPDOWN",
    "LSORBIT",
    "LNONCOLLINEAR",
    "LSOL",
    "LDIPOL",
    "IDIPOL",
    "EFIELD",
)
"""Tags that are named where they are given."""


def vasp_level(incar: Mapping[str, Any], kpoints: Kpoints | None, potcars: Iterable[str]) -> str:
    """Functional, cutoff, smearing, spin, k-points and PAW data sets.

    Parameters
    ----------
    incar
        As given; VASP's defaults are added for smearing and spin.
    kpoints
        None where KSPACING says it.
    potcars
        Titles (``PAW_PBE Cu_pv 06Sep2000``) or symbols (``Cu_pv``).
    """
    gga = str(incar.get("GGA", "")).upper()
    words = [
        FUNCTIONALS.get(gga, gga) if gga else "functional of the POTCARs",
        f"{incar['ENCUT']:g} eV" if "ENCUT" in incar else "cutoff of the POTCARs",
        f"ISMEAR {incar.get('ISMEAR', 1)} of {incar.get('SIGMA', 0.2):g} eV",
        "spin" if int(incar.get("ISPIN", 1)) == 2 else "no spin",
        _kpoint_words(incar, kpoints),
        *(f"{tag} {_plain(incar[tag])}" for tag in NAMED if tag in incar),
    ]
    symbols = sorted({_symbol(each) for each in potcars})
    return f"VASP {', '.join(words)}, PAW {' '.join(symbols) or 'unknown'}"


def _kpoint_words(incar: Mapping[str, Any], kpoints: Kpoints | None) -> str:
    if kpoints is None:
        return f"KSPACING {incar.get('KSPACING', 0.5):g}"
    if kpoints.num_kpts > 0:
        return f"{kpoints.num_kpts} k-points"
    grid = "×".join(f"{count:g}" for count in kpoints.kpts[0])
    return f"{grid} {kpoints.style.name} k-points"


def _symbol(potcar: str) -> str:
    words = potcar.split()
    return words[1] if len(words) > 1 else words[0]


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
