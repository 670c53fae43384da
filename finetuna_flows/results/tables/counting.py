"""Which parent calls count."""

from __future__ import annotations

from enum import StrEnum


class Count(StrEnum):
    """The counting rule; both are in use in the FINETUNA paper's Table 1."""

    FRAMES = "frames"
    FRAMES_MINUS_ONE = "frames-1"

    @property
    def sentence(self) -> str:
        """For a caption."""
        if self is Count.FRAMES:
            return "Every label counts (rule: frames)."
        return (
            "The first label, which every run needs, is not counted, neither here nor of the "
            "reference (rule: frames − 1)."
        )

    def of(self, labels: int | None) -> int | None:
        """Calls that count; None where there are none to count from."""
        if not labels:
            return None
        return labels if self is Count.FRAMES else labels - 1
