"""What to call a structure, after the file or the directory that it comes from.

Whatever is named of one calculation, the name is the same: ``runs/x``, ``runs/x/outputs`` and
``runs/x/outputs/OUTCAR.gz`` are all ``x``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ase.io.formats import extension2format, get_compression

EXTENSIONS = frozenset(extension2format) - {"34"} | frozenset({
    "abo", "contcar", "db", "extxyz", "gen", "gpw", "nc", "outcar", "res", "txt", "vasp",
    "xdatcar", "xml", "xsf", "yaml",
})  # fmt: skip
"""Endings that say the format: ASE's, and those that it knows by other signs. Any other ending is
part of the name, as in ``O_0.25ML``."""
PROGRAMS = frozenset({
    "abinit", "aims", "castep", "cp2k", "espresso", "gpaw", "lammps", "nwchem", "pw", "pwscf", "qe",
    "siesta", "vasp",
})  # fmt: skip
"""Files and folders called after the program say nothing of the structure."""
STAGES = frozenset({
    "calc", "calculation", "job", "opt", "optimization", "out", "output",
    "outputs", "relax", "relaxation", "result", "results", "run", "scf", "static",
})  # fmt: skip
"""Neither do folders called after what is done in them."""
VASP = r"(?P<kind>POSCAR|CONTCAR|OUTCAR|XDATCAR|vasprun)"
OF_VASP = re.compile(rf"{VASP}(?:\.xml)?(?:[._-](?P<rest>.+))?")
AFTER_A_NAME = re.compile(rf"(?P<rest>.+)[._-]{VASP}")
PART = re.compile(
    r"(relax|run|part|step|try|restart|old|orig|prev|bak|backup|static|final|init)?[._-]?\d*"
)
"""What VASP's files are called after when a restart would overwrite them."""
LAUNCHED = re.compile(r"(job|launcher|block)_\d{4}-\d\d-\d\d.*")
"""Folders that jobflow and FireWorks make, after the time."""


def name_of(path: Path) -> str:
    """What to call the structure of a path.

    A name that says nothing gives way to that of the folder around it: VASP's own file names, those
    of programs, of stages such as ``outputs``, and folders called after the time of a job, where
    no other job lies beside them.

    Examples
    --------
    >>> name_of(Path("slabs/O_0.25ML.vasp.gz"))
    'O_0.25ML'
    >>> name_of(Path("runs/x/outputs/OUTCAR.gz"))
    'x'
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - a link is called as it is, not its target
    if not whole.is_dir():
        said = _said(_stem(whole.name))
        if said:
            return said
    folders = (whole, *whole.parents) if whole.is_dir() else whole.parents
    return next((each.name for each in folders if _is_telling(each)), whole.name)


def _stem(name: str) -> str:
    """Without the ending of its compression and of its format."""
    plain = get_compression(name)[0]
    stem, _, ending = plain.rpartition(".")
    return stem if stem and ending.lower() in EXTENSIONS else plain


def _said(stem: str) -> str:
    """What the name of a file says of the structure; empty if nothing."""
    if match := AFTER_A_NAME.fullmatch(stem):
        return match["rest"]
    match = OF_VASP.fullmatch(stem)
    if match is None:
        return "" if stem.lower() in PROGRAMS else stem
    rest = match["rest"] or ""
    if PART.fullmatch(rest) is None:
        return str(rest)
    several = rest.isdigit() and match["kind"] in ("POSCAR", "CONTCAR")  # no parts of one run
    return stem if several else ""


def _is_telling(folder: Path) -> bool:
    if not folder.name or folder.name.lower() in PROGRAMS | STAGES:
        return False
    return not LAUNCHED.fullmatch(folder.name) or any(
        LAUNCHED.fullmatch(other.name) and other.is_dir() and other != folder
        for other in folder.parent.iterdir()
    )
