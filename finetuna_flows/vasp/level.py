"""VASP's level of theory in words, the same for a parent and for files that exist already.

Only what changes energies and forces is named: two calculations whose words are equal can be
compared. Every tag that is given is named but those that change no converged number; VASP's
version is left out.
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

SAID_BY_WORDS = frozenset({"GGA", "ENCUT", "ISMEAR", "SIGMA", "ISPIN", "KSPACING", "KGAMMA"})
"""What the first words of a level tell."""

OF_NO_ACCOUNT = frozenset({
    "SYSTEM", "MAGMOM", "IBRION", "NSW", "EDIFFG", "POTIM", "ISIF", "ISYM", "SYMPREC",
    "INTERACTIVE", "IWAVPR", "NCORE", "NPAR", "KPAR", "NSIM", "LPLANE", "LSCALAPACK", "LSCALU",
    "LASYNC", "NWRITE", "ISTART", "ICHARG", "INIWAV", "LWAVE", "LCHARG", "LAECHG", "LVTOT",
    "LVHAR", "LELF", "LORBIT", "NEDOS", "EMIN", "EMAX", "LMAXMIX", "NBANDS", "ALGO", "IALGO",
    "NELM", "NELMIN", "NELMDL", "EDIFF", "AMIX", "BMIX", "AMIX_MAG", "BMIX_MAG", "AMIN", "IMIX",
    "MAXMIX", "WC", "TIME", "LDIAG", "KPOINT_BSE",
})  # fmt: skip
"""Tags of the motion, of the machine, of files, and of the way to self-consistency."""

ENGINE, STAND_IN = "VASP", "stand-in for VASP"


def engine_in(text: str) -> str:
    """What a program that wrote `text` calls itself."""
    return STAND_IN if STAND_IN in text else ENGINE


def vasp_level(
    incar: Mapping[str, Any],
    kpoints: Kpoints | None,
    potcars: Iterable[str],
    engine: str = ENGINE,
) -> str:
    """Functional, cutoff, smearing, spin, k-points and PAW data sets.

    Parameters
    ----------
    incar
        As given; VASP's defaults are added for smearing and spin.
    kpoints
        None where KSPACING says it.
    potcars
        Titles (``PAW_PBE Cu_pv 06Sep2000``) or symbols (``Cu_pv``).
    engine
        What the program calls itself.
    """
    gga = str(incar.get("GGA", "")).upper()
    words = [
        FUNCTIONALS.get(gga, gga) if gga else "functional of the POTCARs",
        f"{incar['ENCUT']:g} eV" if "ENCUT" in incar else "cutoff of the POTCARs",
        f"ISMEAR {incar.get('ISMEAR', 1)} of {incar.get('SIGMA', 0.2):g} eV",
        "spin" if int(incar.get("ISPIN", 1)) == 2 else "no spin",
        _kpoint_words(incar, kpoints),
        *(
            f"{tag} {_plain(incar[tag], tag)}"
            for tag in sorted(set(incar) - SAID_BY_WORDS - OF_NO_ACCOUNT)
        ),
    ]
    symbols = sorted({_symbol(each) for each in potcars})
    return f"{engine} {', '.join(words)}, PAW {' '.join(symbols) or 'unknown'}"


def _kpoint_words(incar: Mapping[str, Any], kpoints: Kpoints | None) -> str:
    if kpoints is None:
        return f"KSPACING {incar.get('KSPACING', 0.5):g}"
    if kpoints.num_kpts > 0:
        return f"{kpoints.num_kpts} k-points"
    grid = "×".join(f"{count:g}" for count in kpoints.kpts[0])
    shift = " ".join(f"{each:g}" for each in kpoints.kpts_shift) if any(kpoints.kpts_shift) else ""
    return f"{grid} {kpoints.style.name} k-points{f' shifted by {shift}' if shift else ''}"


def _symbol(potcar: str) -> str:
    words = potcar.split()
    return words[1] if len(words) > 1 else words[0]


def _plain(value: object, tag: str) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_plain(each, tag) for each in value)
    if tag == "LREAL":  # .FALSE., .TRUE., On, Auto
        return str(value).strip(".")[:1].upper()
    if isinstance(value, bool):
        return str(value)[:1]
    return f"{value:g}" if isinstance(value, float) else str(value).capitalize()
