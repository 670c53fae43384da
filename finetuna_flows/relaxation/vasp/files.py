"""Which files of a finished VASP calculation belong together, wherever they lie."""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from ase.io.formats import open_with_compression

from finetuna_flows.errors import ParentError

NAME = re.compile(
    r"(?P<kind>vasprun\.xml|OUTCAR|POSCAR|CONTCAR)(?P<part>(\.relax\d+)?)(\.(gz|bz2|xz))?"
)
ARCHIVE = re.compile(r"error\.(\d+)\.tar(\.gz)?")
RESULTS = ("vasprun.xml", "OUTCAR")


@dataclass(frozen=True)
class VaspFile:
    """One file, on its own or in an archive."""

    name: str
    """What to call it."""
    open: Callable[[], IO[bytes]]
    """Opens it uncompressed."""


VaspFiles = Mapping[str, VaspFile]
"""The files of one start of VASP: vasprun.xml, OUTCAR, POSCAR, CONTCAR, as far as there are."""


def find_vasp_files(path: Path) -> list[VaspFiles]:
    """The files of each start of VASP that a path holds, in the order of their names.

    Parameters
    ----------
    path
        A directory, in which custodian's archives of failed tries (``error.1.tar.gz``) come before
        the parts of a double relaxation (``OUTCAR.relax1``) and what has no such name; or one
        vasprun.xml or OUTCAR. All may be compressed.

    Raises
    ------
    ValueError
        If there is no such path, or nothing of VASP's in it.
    ParentError
        If an archive is damaged.
    """
    if path.is_dir():
        groups = [*_archived(path), *_lying_in(path).values()]
        found = [each for each in groups if any(kind in each for kind in RESULTS)]
        if not found:
            raise ValueError(f"{path} holds no vasprun.xml and no OUTCAR; name what VASP left")
        return found
    if not path.is_file():
        raise ValueError(f"{path} is not there; name a directory, a vasprun.xml or an OUTCAR")
    if "OUTCAR" not in path.name:
        return [{"vasprun.xml": _plain(path)}]
    match = NAME.fullmatch(path.name)
    beside = _lying_in(path.parent).get(match["part"], {}) if match else {}
    inputs = {kind: file for kind, file in beside.items() if kind not in RESULTS}
    return [{**inputs, "OUTCAR": _plain(path)}]


def _lying_in(directory: Path) -> dict[str, dict[str, VaspFile]]:
    """Files that are in no archive, by the part of a double relaxation; what has none is last."""
    parts: dict[str, dict[str, VaspFile]] = {}
    for file in sorted(directory.iterdir()):
        if match := NAME.fullmatch(file.name):
            parts.setdefault(match["part"], {})[match["kind"]] = _plain(file)
    return dict(sorted(parts.items(), key=lambda item: (not item[0], item[0])))


def _archived(directory: Path) -> Iterable[VaspFiles]:
    archives = {
        int(match[1]): file
        for file in directory.iterdir()
        if (match := ARCHIVE.fullmatch(file.name))
    }
    for _, archive in sorted(archives.items()):
        try:
            with tarfile.open(archive) as tar:
                members = [each.name for each in tar.getmembers() if each.isfile()]
        except (tarfile.TarError, EOFError, zlib.error) as exc:
            raise ParentError(
                f"{archive} is damaged ({exc}), so it is not known what was computed before the "
                "rest; set it aside to leave that out"
            ) from exc
        yield {
            Path(member).name: VaspFile(f"{archive}:{member}", partial(_extract, archive, member))
            for member in members
        }


def _plain(path: Path) -> VaspFile:
    return VaspFile(str(path), partial(open_with_compression, str(path), "rb"))


def _extract(archive: Path, member: str) -> IO[bytes]:
    with tarfile.open(archive) as tar:
        stream = tar.extractfile(member)
        return io.BytesIO(stream.read() if stream else b"")
