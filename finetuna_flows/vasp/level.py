"""VASP's level of theory in words, the same for a parent and for files that exist already.

Only what changes energies and forces is named: two calculations whose words are equal can be
compared. A tag with VASP's own default is as one that is left out, and a tag that is not known is
named, since it may change a number; VASP's version is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymatgen.io.vasp import Kpoints

from finetuna_flows.vasp.level_tags import is_default, level_tags
from finetuna_flows.vasp.tags import is_true

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

OF_DATA_SETS = {"PAW_PBE": "PBE", "PAW_GGA": "PW91", "PAW": "LDA"}
"""Words where GGA is missing, by the first word of a POTCAR's title."""

PRECISIONS = ("Normal", "Accurate", "Single", "Low", "Medium", "High")
"""Values of PREC, of which VASP looks at the first letter."""

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
        As given; for what is not given VASP's defaults hold.
    kpoints
        None where KSPACING says it.
    potcars
        Titles (``PAW_PBE Cu_pv 06Sep2000``) or symbols (``Cu_pv``).
    engine
        What the program calls itself.
    """
    tags = {tag.upper(): value for tag, value in incar.items()}
    titles = list(potcars)
    words = [
        _functional(tags, titles, engine),
        f"{round(float(tags['ENCUT']), 1):g} eV" if "ENCUT" in tags else "cutoff of the POTCARs",
        _smearing(tags),
        "no spin" if is_default("ISPIN", tags) else "spin",
        _kpoint_words(tags, kpoints),
        *(f"{tag} {_plain(tags[tag], tag)}" for tag in level_tags(tags)),
    ]
    symbols = sorted({_symbol(each) for each in titles})
    return f"{engine} {', '.join(words)}, PAW {' '.join(symbols) or 'unknown'}"


def _functional(tags: Mapping[str, Any], titles: Sequence[str], engine: str) -> str:
    """In a word; what the POTCARs are of, where no tag says it and their titles do."""
    if not is_default("METAGGA", tags):
        return "meta-GGA"
    gga = str(tags.get("GGA", "")).strip("-").upper()
    if gga:
        return FUNCTIONALS.get(gga, gga)
    kinds = {title.split()[0] for title in titles if len(title.split()) > 1}
    if engine != ENGINE or len(kinds) != 1:  # a stand-in's titles say nothing
        return "functional of the POTCARs"
    return OF_DATA_SETS.get(kinds.pop(), "functional of the POTCARs")


def _smearing(tags: Mapping[str, Any]) -> str:
    """ISMEAR and the width, which the tetrahedron method (-5) has none of."""
    kind = tags.get("ISMEAR", 1)
    return "ISMEAR -5" if str(kind) == "-5" else f"ISMEAR {kind} of {tags.get('SIGMA', 0.2):g} eV"


def _kpoint_words(tags: Mapping[str, Any], kpoints: Kpoints | None) -> str:
    if kpoints is None:
        through = "" if is_true(tags.get("KGAMMA", True)) else " beside Γ"
        return f"KSPACING {tags.get('KSPACING', 0.5):g}{through}"
    if kpoints.num_kpts > 0:
        return f"{kpoints.num_kpts} k-points"
    grid = "×".join(f"{count:g}" for count in kpoints.kpts[0])
    shift = " ".join(f"{each:g}" for each in kpoints.kpts_shift) if any(kpoints.kpts_shift) else ""
    return f"{grid} {kpoints.style.name} k-points{f' shifted by {shift}' if shift else ''}"


def _symbol(potcar: str) -> str:
    words = potcar.split()
    return words[1] if len(words) > 1 else words[0]


def _plain(value: object, tag: str) -> str:
    if tag == "METAGGA" and str(value).upper() == "R2SCA":  # as OUTCAR cuts it
        return "R2scan"
    if tag == "PREC":
        letter = str(value)[:1].upper()
        return next((each for each in PRECISIONS if each[0] == letter), str(value))
    if isinstance(value, list | tuple):
        return " ".join(_plain(each, tag) for each in value)
    if tag == "LREAL":  # .FALSE., .TRUE., On, Auto
        return str(value).strip(".")[:1].upper()
    if isinstance(value, bool):
        return str(value)[:1]
    return f"{value:g}" if isinstance(value, float) else str(value).capitalize()
