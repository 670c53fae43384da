"""Which atoms an OUTCAR is of, from the several places where it says so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
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
        """Titles of all kinds, as TITEL or else POTCAR: lines have them; empty without them."""
        return self.titles if len(self.titles) == len(self.counts) else self._listed_once

    @property
    def _listed_once(self) -> list[str]:
        """The POTCAR: lines, each once; empty where they are not whole and so in doubt."""
        kinds, listed = len(self.counts), self.listed
        once = listed[:kinds]
        whole = bool(kinds) and len(listed) >= kinds and len(listed) % kinds == 0
        repeated = whole and listed == once * (len(listed) // kinds)
        certain = len(listed) > kinds or len(set(once)) == kinds
        return once if repeated and certain else []

    def symbols(self, n_atoms: int, source: str, beside: Callable[[], Atoms | None]) -> list[str]:
        """Symbol of each atom, as most of the places say it.

        Parameters
        ----------
        n_atoms
            How many there are.
        source
            What to call the file.
        beside
            The POSCAR that lies there; asked for where the file itself does not tell, or
            contradicts itself.

        Raises
        ------
        ParentError
            If the atoms are not told, or in several ways.
        """
        found = Counter(self._candidates()).most_common() if sum(self.counts) == n_atoms else []
        if found and (len(found) == 1 or found[0][1] > found[1][1]):
            pairs = zip(found[0][0], self.counts, strict=True)
            return [each for each, n in pairs for _ in range(n)]
        poscar = beside()
        if poscar is not None and len(poscar) == n_atoms:
            return list(map(str, poscar.symbols))
        said = " or ".join(" ".join(kinds) for kinds, _ in found)
        raise ParentError(
            f"{source} does not tell its {n_atoms} atoms: it names {len(self.titles)} POTCARs "
            f"(TITEL) and {len(self.listed)} (POTCAR:) for {self.counts or 'no'} atoms of a kind"
            f"{f', which are {said}' if said else ''}; lay the POSCAR beside it"
        )

    def _candidates(self) -> Iterator[tuple[str, ...]]:
        """The kinds in each place that tells all of them."""
        for titles in (self.titles, self._listed_once):
            matches = [ELEMENT.match(title) for title in titles]
            yield from self._complete([match[1] for match in matches if match])
        yield from self._complete(self.atoms)

    def _complete(self, kinds: list[str]) -> Iterator[tuple[str, ...]]:
        if len(kinds) == len(self.counts) and all(each in chemical_symbols for each in kinds):
            yield tuple(kinds)
