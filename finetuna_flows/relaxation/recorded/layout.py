"""The files that FINETUNA's authors released, as they laid them out.

``benchmark_systems/random<ID>.traj`` are VASP's own relaxations. In ``results`` is a folder a
method, and in it a file a system, ``<method>_<ID>.traj`` or ``.db``; the warm start has two, the
network's own walk and what VASP did from its end.

Musielewicz, Wang, Tian, Ulissi, Mach. Learn.: Sci. Technol. 3, 03LT01 (2022).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

REFERENCE, RESULTS = "benchmark_systems", "results"
REFERENCE_METHOD = "VASP_CG"
METHODS = {"K-steps_Online_Learner": "K_steps"}
"""What the method of a folder is called, where it is not as the folder."""
SYSTEM = re.compile(r"(?:.*_|random)(\d+)\.(?:traj|db)")
LEVEL = "VASP, RPBE, 350 eV"
"""As the paper says, of all methods; the files do not tell."""
SURROGATES = frozenset({"ocpcalculator"})
"""Calculators whose frames are predictions: GemNet's, on OC20's scale of adsorption energies."""


@dataclass(frozen=True)
class Released:
    """The files of one relaxation."""

    system: str
    method: str
    files: tuple[Path, ...]
    """The surrogate's own walk before what the parent labelled."""


def is_released(directory: Path) -> bool:
    """Whether a directory is laid out like that."""
    return any((directory / name).is_dir() for name in (REFERENCE, RESULTS))


def released(directory: Path) -> Iterator[Released]:
    """The relaxations in such a directory, system by system, VASP's own first.

    Raises
    ------
    ValueError
        If there is none.
    """
    found: dict[tuple[int, str, str], list[Path]] = {}
    for file in sorted([*directory.glob(f"{REFERENCE}/*"), *directory.glob(f"{RESULTS}/*/*")]):
        match = SYSTEM.fullmatch(file.name)
        if match is None:
            logger.warning("%s is no file of the authors' layout, and is left out", file)
            continue
        reference = file.parent == directory / REFERENCE
        method = REFERENCE_METHOD if reference else METHODS.get(file.parent.name, file.parent.name)
        found.setdefault((int(match[1]), "" if reference else method, method), []).append(file)
    if not found:
        raise ValueError(
            f"{directory} has the folders of FINETUNA's authors but no file such as "
            f"{REFERENCE}/random123.traj or {RESULTS}/ASE_BFGS/ASE_BFGS_123.traj; name its files"
        )
    for (number, _, method), files in sorted(found.items()):
        yield Released(f"random{number}", method, tuple(files))
