"""Which atoms an OUTCAR is of, from the several places where it says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ase import Atoms
from ase.data import chemical_symbols

from finetuna_flows.errors import ParentError

TITLE = re.compile(r"\bTITEL\s*=\s*(.*\S)")
LISTED = re.compile(r"\bPOTCAR:\s+(.*\S)")
ATOM = re.compile(r"\bVRHFIN\s*=\s*([A-Z][a-z]?)\b")
ELEMENT = re.compile(r"\S+\s+([A-Z][a-z]?)(?![a-z])")
"""In a title such as ``PAW_PBE Ga_d 06Jul2010``."""


@dataclass
class Species:
    """What the head says of the kinds of atoms."""

    titles: list[str] = field(default_factory=list)
    """Of the TITEL lines."""
    listed: list[str] = field(default_factory=list)
    """Of the POTCAR: lines, which may be there twice: as a list, and one over each data set."""
    atoms: list[str] = field(default_factory=list)
    """Of the VRHFIN lines."""
    counts: list[int] = field(default_factory=list)
    """Atoms of each kind."""

    def take(self, line: str) -> bool:
        """Take a line that says something of it; False where it says nothing."""
        for pattern, found in ((TITLE, self.titles), (LISTED, self.listed), (ATOM, self.atoms)):
            if match := pattern.search(line):
                found.append(match[1])
                return True
        return False

    @property
    def best_titles(self) -> list[str]:
        """Titles of all kinds; as many as there are where they are not complete."""
        kinds, listed = len(self.counts), self.listed
        if len(self.titles) == kinds:
            return self.titles
        if len(listed) == 2 * kinds and listed[:kinds] != listed[kinds:]:
            return []
        if len(listed) in (kinds, 2 * kinds):
            return listed[:kinds]
        unique = list(dict.fromkeys(listed))
        return unique if len(unique) == kinds else []

    def symbols(self, n_atoms: int, source: str, beside: Callable[[], Atoms | None]) -> list[str]:
        """Symbol of each atom.

        Parameters
        ----------
        n_atoms
            How many there are.
        source
            What to call the file.
        beside
            The POSCAR that lies there, the last source.

        Raises
        ------
        ParentError
            If none of them tells all.
        """
        if sum(self.counts) == n_atoms:
            matches = [ELEMENT.match(title) for title in self.best_titles]
            named = [match[1] for match in matches if match]
            for kinds in (named, self.atoms):
                known = all(each in chemical_symbols for each in kinds)
                if len(kinds) == len(self.counts) and known:
                    return [
                        each for each, n in zip(kinds, self.counts, strict=True) for _ in range(n)
                    ]
        poscar = beside()
        if poscar is not None and len(poscar) == n_atoms:
            return list(map(str, poscar.symbols))
        raise ParentError(
            f"{source} does not tell its {n_atoms} atoms: it names {len(self.titles)} POTCARs "
            f"(TITEL) and {len(self.listed)} (POTCAR:) for {self.counts or 'no'} atoms of a kind; "
            "lay the POSCAR beside it"
        )
