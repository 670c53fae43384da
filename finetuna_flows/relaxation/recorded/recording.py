"""How to read relaxations that were run elsewhere, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from finetuna_flows.errors import FinetunaError
from finetuna_flows.records import Relaxation
from finetuna_flows.relaxation.recorded.labels import check_label_keys
from finetuna_flows.relaxation.run import check_threshold

METHOD = "imported"
"""How a relaxation was done where neither its file nor the user says."""
UNRECORDED = "settings not recorded in"
"""Words in a level of theory that is that of one file alone."""


def check_words(name: str, words: str | None) -> None:
    """Refuse an option that is there but says nothing, as an unset variable of a shell leaves it.

    Raises
    ------
    ValueError
        If so.
    """
    if words is not None and not words.strip():
        raise ValueError(
            f"--{name} is {words!r} but must say something; leave it out for its default"
        )


@dataclass(frozen=True)
class Reading:
    """How to read what a path holds; None: as the files say it, or the default."""

    fmax: float | None = None
    """eV/Å over the free atoms; a relaxation ends where it is reached. None: as far as it went,
    against VASP's own threshold, or 0.03."""
    method: str | None = None
    """How they were relaxed; not of VASP's own files, which say it."""
    system: str | None = None
    """What to call the structure; by default its file or directory."""
    level: str | None = None
    """Level of theory in words. Energies are compared at one level only. By default VASP's files
    say it, FINETUNA's authors do, and of any other file it is a level of its own."""
    by: tuple[str, str] | None = None
    """Keys that tell systems and methods in one file apart; see `groups.grouped`."""
    only: tuple[str, str] | None = None
    """System and method of the one relaxation to read; None: all."""
    keys: Mapping[str, str] | None = None
    """What a file calls ``energy``, ``forces`` and ``free_energy``, in eV and eV/Å, where that is
    not ASE's own: ``{"energy": "REF_energy", "forces": "REF_forces"}``."""

    def __post_init__(self) -> None:
        """Refuse a threshold that cannot be reached, and words that say nothing."""
        for name in ("method", "system", "level"):
            check_words(name, getattr(self, name))
        check_label_keys(self.keys)
        if self.fmax is not None:
            check_threshold(self.fmax)


@dataclass(frozen=True)
class Recording:
    """One relaxation of a path."""

    system: str
    """What the structure is called."""
    method: str
    """How it was relaxed."""
    result: Relaxation | FinetunaError | ValueError
    """The relaxation, or why there is none."""
    damaged: tuple[str, ...] = ()
    """What of it could not be read, in words; the rest is in the relaxation."""
    group: tuple[str, str] = ("", "")
    """What the files themselves call system and method; empty where they do not say."""
    first_key: str = ""
    """Digest of the first geometry as the files have it; empty if there is none."""
