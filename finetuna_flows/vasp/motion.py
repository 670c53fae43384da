"""What moved the atoms in a run of VASP, by all tags that say something of it.

IBRION alone does not tell: VTST's optimizers run under IBRION = 3, its dimers too, a reaction path
may have any optimizer, and a machine-learned force field any motion. Numbers of IBRION, IMAGES,
SPRING, MDALGO, LBLUEOUT, ML_LMLFF and ML_MODE are those of the VASP Wiki; of IOPT and ICHAIN those
of VTST's documentation (Henkelman group, optimizers and dimer) and of ASE's ``create_input``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from finetuna_flows.vasp.tags import is_true, whole_number

RELAXATIONS = {1: "VASP quasi-Newton", 2: "VASP CG", 3: "VASP damped"}
"""Names of the methods by IBRION."""

VTST_OPTIMIZERS = {
    1: "VTST L-BFGS",
    2: "VTST CG",
    3: "VTST quick-min",
    4: "VTST steepest descent",
    7: "VTST FIRE",
    8: "VTST ML-PYAMFF",
}
"""Names of the methods by IOPT, which needs IBRION = 3."""

OTHERS = {
    -1: "one geometry",
    0: "molecular dynamics",
    5: "phonons",
    6: "phonons",
    7: "phonons",
    8: "phonons",
    11: "interactive: another program moved the atoms",
    40: "an intrinsic reaction coordinate",
    44: "a transition state by the dimer method",
}
"""What is no relaxation, by IBRION."""

CHAINS = {
    1: "VTST's dynamical matrix",
    2: "a transition state by VTST's dimer method",
    3: "a transition state by VTST's Lanczos method",
}
"""What is no relaxation, by ICHAIN; 0 is a reaction path where there are IMAGES."""

LEARNED = {
    "RUN": "a machine-learned force field alone, whose steps are none of DFT",
    "SELECT": "a machine-learned force field made from earlier data",
    "REFIT": "a machine-learned force field made from earlier data",
}
"""By the beginning of ML_MODE."""
TRAINED = "a machine-learned force field, not all of whose steps are of DFT"

VTST_MOTION = frozenset({
    "IOPT", "MAXMOVE", "ILBFGSMEM", "LBFGSMEM", "LGLOBAL", "LAUTOSCALE", "INVCURV", "LLINEOPT",
    "FDSTEP", "TIMESTEP", "SDALPHA", "FTIMEMAX", "FTIMEDEC", "FTIMEINC", "FALPHA", "FALPHADEC",
    "FNMIN", "ICHAIN", "LCLIMB", "LTANGENTOLD", "LDNEB", "LNEBCELL", "JACOBIAN", "DDR", "DROTMAX",
    "DFNMIN", "DFNMAX", "SLTOL", "SDR", "SNL",
})  # fmt: skip
"""Tags of VTST's optimizers and of its searches for transition states."""

INSTEAD = {
    "IMAGES": "import the relaxations of its end points instead",
    "SPRING": "import the relaxations of its end points instead",
    "LCLIMB": "import the relaxations of its end points instead",
    "ML_LMLFF": "relax with ML_LMLFF = .FALSE.",
    "IOPT": "set IBRION to 3 for VTST's optimizer, or leave IOPT out for VASP's",
}
"""The way out, by tag."""


@dataclass(frozen=True)
class Motion:
    """What a run of VASP did with the atoms."""

    method: str
    """Name of the relaxation; empty where it is none."""
    obstacles: Mapping[str, str]
    """Why it is none: what each tag that contradicts a relaxation makes of it."""
    evidence: str = ""
    """The tags that tell the method, where IBRION alone does not."""

    @property
    def refusal(self) -> str:
        """Why it is no relaxation, for a sentence that begins with what was read."""
        said = " and ".join(f"{tag} ({words})" for tag, words in self.obstacles.items())
        if any(tag.startswith("IBRION") for tag in self.obstacles):
            known = ", ".join(f"{key} ({name})" for key, name in sorted(RELAXATIONS.items()))
            return f"has {said} but a relaxation has one of {known}"
        names = [tag.split()[0] for tag in self.obstacles]
        ways = dict.fromkeys(INSTEAD.get(name, f"relax without {name}") for name in names)
        return f"has {said}, which no relaxation by DFT has; {', and '.join(ways)}"


def motion_of(tags: Mapping[str, object]) -> Motion:
    """Tell what a run did, or would do, from its tags.

    Parameters
    ----------
    tags
        Those that were given, with the values that VASP worked with where it says them. Values may
        be VASP's words. IBRION and NSW must be there.

    Raises
    ------
    KeyError
        If IBRION or NSW is missing.
    ValueError
        If the value of a tag that decides is no number.
    """
    ibrion, nsw = whole_number(tags["IBRION"]), whole_number(tags["NSW"])
    found = dict(_obstacles(tags, ibrion, nsw))
    if found:
        return Motion("", found)
    optimizer = whole_number(tags.get("IOPT", 0))
    if not optimizer and moves_nothing(tags):
        return Motion("VTST", {}, f"POTIM 0 under IBRION {ibrion}, where VASP moves nothing,")
    if not optimizer:
        return Motion(RELAXATIONS[ibrion], {})
    method = VTST_OPTIMIZERS.get(optimizer, f"VTST IOPT {optimizer}")
    return Motion(method, {}, f"IOPT {optimizer} under IBRION {ibrion}")


def moves_nothing(tags: Mapping[str, object]) -> bool:
    """Whether VASP's damped dynamics has no time step, and no optimizer of VTST's is named.

    Of a finished run an OUTCAR of VASP 5 tells no IOPT; with it this is how VTST is called.
    """
    damped = whole_number(tags["IBRION"]) == 3 and "IOPT" not in tags
    return damped and float(str(tags.get("POTIM", 0.5))) == 0.0


def _obstacles(tags: Mapping[str, object], ibrion: int, nsw: int) -> Iterator[tuple[str, str]]:
    if ibrion not in RELAXATIONS:
        yield f"IBRION {ibrion}", OTHERS.get(ibrion, "something else")
    elif nsw < 1:
        yield f"NSW {nsw}", "one geometry"
    optimizer = whole_number(tags.get("IOPT", 0))
    if optimizer and ibrion in RELAXATIONS and ibrion != 3:
        name = VTST_OPTIMIZERS.get(optimizer, "an optimizer of VTST")
        yield f"IOPT {optimizer}", f"{name}, which needs IBRION 3, and not {ibrion}"
    for each in contradictions(tags):
        yield f"{each.tag} {each.value}", each.meaning


@dataclass(frozen=True)
class Contradiction:
    """A tag that neither a relaxation nor a label by DFT may have, whatever IBRION is."""

    tag: str
    value: object
    meaning: str
    """What it makes of the run."""


def contradictions(tags: Mapping[str, object]) -> Iterator[Contradiction]:
    """Tags that make something else of a run than DFT of one geometry after the other."""
    images = whole_number(tags.get("IMAGES", 0))
    if images:
        yield Contradiction("IMAGES", images, "one image of a reaction path")
    elif "IMAGES" not in tags:  # these have no meaning where it is 0
        if "SPRING" in tags:
            yield Contradiction("SPRING", tags["SPRING"], "of a reaction path")
        if is_true(tags.get("LCLIMB", False)):
            yield Contradiction("LCLIMB", "T", "of a reaction path")
    if chain := whole_number(tags.get("ICHAIN", 0)):
        yield Contradiction("ICHAIN", chain, CHAINS.get(chain, "a search of VTST's"))
    if dynamics := whole_number(tags.get("MDALGO", 0)):
        yield Contradiction("MDALGO", dynamics, "molecular dynamics")
    if is_true(tags.get("LBLUEOUT", False)):
        yield Contradiction("LBLUEOUT", "T", "constrained molecular dynamics, the blue moon")
    if is_true(tags.get("ML_LMLFF", False)):
        yield Contradiction("ML_LMLFF", "T", _learned(tags))


def _learned(tags: Mapping[str, object]) -> str:
    mode = str(tags.get("ML_MODE", "")).strip().upper()
    if not mode and whole_number(tags.get("ML_ISTART", 0)) == 2:
        mode = "RUN"
    return next((words for name, words in LEARNED.items() if mode.startswith(name)), TRAINED)
