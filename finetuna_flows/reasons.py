"""Why the parent was asked, why a relaxation ended, what became of the adsorbate.

Each is a word for documents and queries, and carries a sentence for people.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A word with a sentence."""

    sentence: str

    def __new__(cls, word: str, sentence: str = "") -> Self:
        """Keep the sentence beside the word."""
        reason = str.__new__(cls, word)
        reason._value_ = word
        reason.sentence = sentence
        return reason


class QueryReason(Reason):
    """Why the parent was asked."""

    FIRST = "first", "one of the first geometries of the run"
    RELAXED = "relaxed", "the predicted forces are below the threshold, so the parent verifies"
    EVERY_K = "every_k", "enough steps have passed since the last label"
    UNCERTAIN = "uncertain", "the surrogate is not certain of its forces"
    DISPLACED = "displaced", "an atom has moved far since the last label"
    ENDPOINT = "endpoint", "nothing ends on a predicted force"
    CUSTOM = "custom", "a criterion of the user's own asks"
    TAIL = "tail", "so near the minimum the parent's own forces lead"
    CONSISTENCY = (
        "consistency",
        "the parent's forces contradicted its energies, so it is asked once more beside the end",
    )
    PARENT_DRIVEN = "parent_driven", "the method asks the parent at every geometry"


class StopReason(Reason):
    """Why a relaxation ended."""

    CONVERGED = "converged", "the parent's own forces are below the threshold"
    MAX_STEPS = "max_steps", "the allowed number of steps is used up"
    MAX_PARENT_CALLS = "max_parent_calls", "the allowed number of parent calls is used up"
    MAX_WALL_TIME = "max_wall_time", "the allowed wall time is used up"
    OTHER_CRITERION = (
        "other_criterion",
        "the calculation met a criterion of its own, other than this threshold of forces",
    )
    OPTIMIZER_GAVE_UP = "optimizer_gave_up", "the optimizer found no way down"
    INCONSISTENT_FORCES = (
        "inconsistent_forces",
        "the parent's forces are not the gradient of its energies, so they prove no minimum",
    )
    NOT_RECORDED = "not_recorded", "what was recorded ends here and does not say why"


class Integrity(Reason):
    """Whether the adsorbate is still what it was, and where it was."""

    INTACT = "intact", "the adsorbate kept its bonds and stayed on the surface"
    DESORBED = "desorbed", "the adsorbate no longer touches the surface"
    DISSOCIATED = "dissociated", "bonds within the adsorbate formed or broke"
    CROSSED_VACUUM = (
        "crossed_vacuum",
        "the adsorbate went through the vacuum to another periodic image",
    )
    NO_ADSORBATE = (
        "no_adsorbate",
        "no atom is tagged as adsorbate, so there was nothing to watch",
    )


class FailureReason(Reason):
    """Why a relaxation is no success by the strict rule."""

    NO_ENERGY = "no_energy", "there is no energy to compare"
    NOT_CONVERGED = "not_converged", "the parent's own forces are not below the threshold"
    HIGHER = "higher", "its energy is above the reference's by more than the tolerance"
    ANOTHER_MINIMUM = "another_minimum", "it ended in another minimum that is not lower"
    ADSORBATE_CHANGED = (
        "adsorbate_changed",
        "it ended in another minimum where the adsorbate is no longer what it was",
    )
