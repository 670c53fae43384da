"""The one place that says which INCAR tags a label needs, and which it cannot have.

An input set is made for a relaxation; a label takes everything from it but the motion:

================  =============================  ==============================================
tag               M1, M2 (a process a label)     M3 (one process, ``INTERACTIVE``)
================  =============================  ==============================================
IBRION            -1                             -1; VASP makes it 11
NSW               0                              `MOST_LABELS`; VASP ends when it is reached
INTERACTIVE       left out                       .TRUE.
EDIFFG, POTIM     left out                       0: VASP must neither end nor move atoms
IOPT              left out                       left out: VTST must not move them either
IWAVPR            left out                       11: the density moves along with the atoms
ISYM              as given                       0: the next geometry may have less symmetry
ISTART, ICHARG    M1: 0, 2; M2: 1, as given      0, 2; wave functions stay in memory
LWAVE, LCHARG     M1: .FALSE.; M2: LWAVE .TRUE.  .FALSE.
ISIF              as given, at most 2            as given, at most 2
================  =============================  ==============================================

What a user says himself is refused where it contradicts; what a set has by default is replaced.
LWAVE and LCHARG are written where a user says so. Sources: VASP Wiki, INTERACTIVE and IWAVPR; the
INCARs of real interactive runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetuna_flows.parents.specs import Continuation
from finetuna_flows.vasp.motion import RELAXATIONS, VTST_MOTION, contradictions
from finetuna_flows.vasp.tags import FIXED_CELL

MOST_LABELS = 2000
"""Of one interactive process. OC20's NSW."""

_FRESH: Mapping[str, tuple[Any, ...]] = {
    "IBRION": (-1,),
    "NSW": (0,),
    "EDIFFG": (None,),
    "POTIM": (None,),
    "IOPT": (None, 0),
    "IWAVPR": (None,),
    "INTERACTIVE": (None, False),
}

FORCED: Mapping[Continuation, Mapping[str, tuple[Any, ...]]] = {
    Continuation.COLD: {**_FRESH, "ISTART": (0,), "ICHARG": (2,)},
    Continuation.RESTART: {**_FRESH, "ISTART": (1,), "ICHARG": (None, 0, 1), "LWAVE": (True,)},
    Continuation.KEPT: {
        "INTERACTIVE": (True,),
        "IBRION": (-1, 11),
        "NSW": (MOST_LABELS,),
        "EDIFFG": (0.0,),
        "POTIM": (0.0,),
        "IOPT": (None, 0),
        "IWAVPR": (11,),
        "ISYM": (0, -1),
        "ISTART": (0,),
        "ICHARG": (2,),
    },
}
"""What each way of asking VASP needs: the value that is set, and others that a user may say
himself; None: the tag is left out."""

UNSAID = {"LWAVE": False, "LCHARG": False}
"""Large files that nothing here reads."""

RELAXATION_TAGS: Mapping[str, tuple[int, ...] | None] = {
    "IBRION": (-1, *RELAXATIONS),
    "NSW": None,
    "EDIFFG": None,
    "POTIM": None,
    "ISTART": None,
    "ICHARG": (0, 1, 2),
    "LWAVE": None,
    "LCHARG": None,
    **dict.fromkeys(sorted(VTST_MOTION)),
}
"""What a folder with inputs may say of a relaxation and its files, and is replaced; None: any
value."""

REASONS = {
    "IBRION": "this package moves the atoms",
    "NSW": "this package moves the atoms",
    "EDIFFG": "convergence is the Maker's `fmax`",
    "POTIM": "this package moves the atoms",
    "IOPT": "this package moves the atoms",
    "ISYM": "the next geometry may have less symmetry than the first",
    "IWAVPR": "the density must move along with the atoms",
    "INTERACTIVE": "`continuation` says it",
    "ISTART": "`continuation` says what is read",
    "ICHARG": "`continuation` says what is read",
    "LWAVE": "the next label starts from it",
}


def label_incar(
    incar: Mapping[str, Any], said: Mapping[str, Any], continuation: Continuation
) -> dict[str, Any]:
    """The tags of a label.

    Parameters
    ----------
    incar
        Tags of a relaxation, those in `said` among them.
    said
        Tags that the user set himself; None takes a default back.
    continuation
        What VASP keeps from one label to the next.

    Raises
    ------
    ValueError
        If the user said something that contradicts a label, or the set asks for what no label can
        be: a moving cell, several images, a machine-learned force field. The message names tag,
        value, rule and way out.
    """
    own = {tag.upper(): value for tag, value in said.items() if value is not None}
    if int(incar.get("ISIF", 0)) > FIXED_CELL:
        raise ValueError(
            f"ISIF is {incar['ISIF']} but must be at most {FIXED_CELL}, since cells stay as they "
            "are; set it to 2"
        )
    refuse_other_runs(incar)
    kept = {**incar, **{tag: value for tag, value in UNSAID.items() if tag not in own}}
    for tag, allowed in FORCED[continuation].items():
        if tag in own and not any(_same(own[tag], each) for each in allowed):
            raise _contradiction(tag, own[tag], allowed[0], continuation)
        if tag not in own:
            kept[tag] = allowed[0]
    if kept.get("ICHARG") == 1:
        kept["LCHARG"] = True
    return {
        tag: value for tag, value in kept.items() if value is not None and tag not in VTST_MOTION
    }


def without_motion(incar: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split the tags of a folder with inputs into settings and what they say of the relaxation.

    Raises
    ------
    ValueError
        If they ask for something else than a relaxation: dynamics, phonons, transition states.
    """
    refuse_other_runs(incar)
    motion = {tag: value for tag, value in incar.items() if tag in RELAXATION_TAGS}
    for tag, value in motion.items():
        allowed = RELAXATION_TAGS[tag]
        if allowed is not None and value not in allowed:
            raise ValueError(
                f"{tag} is {value} but must be one of {', '.join(map(str, allowed))}: relaxations "
                "are all that is done here"
            )
    return {tag: value for tag, value in incar.items() if tag not in motion}, motion


def refuse_other_runs(incar: Mapping[str, Any]) -> None:
    """Refuse tags of reaction paths, of dynamics and of machine-learned force fields.

    Raises
    ------
    ValueError
        If there is one; the message names it, its value, what it makes of a run, and the way out.
    """
    for each in contradictions(incar):
        raise ValueError(
            f"{each.tag} is {each.value} ({each.meaning}) but relaxations and labels are of one "
            "geometry after the other, by DFT; leave it out"
        )


def _contradiction(tag: str, value: object, wanted: object, where: Continuation) -> ValueError:
    must = "must not be there" if wanted is None else f"must be {wanted}"
    return ValueError(
        f"{tag} is {value!r} but {must} for labels (continuation {where.value!r}): "
        f"{REASONS[tag]}; leave it out"
    )


def _same(value: object, wanted: object) -> bool:
    if isinstance(value, str) and isinstance(wanted, bool):
        return value.strip(".").upper()[:1] == ("T" if wanted else "F")
    return value == wanted
