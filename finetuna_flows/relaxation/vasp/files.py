"""Which files of a finished VASP calculation belong together, wherever they lie."""

from __future__ import annotations

import io
import logging
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

logger = logging.getLogger(__name__)

KIND = r"(?P<kind>vasprun\.xml|OUTCAR|POSCAR|CONTCAR|vasp\.out|custodian\.json)"
PACKED = r"(\.(gz|bz2|xz))?"
NAME = re.compile(rf"{KIND}(?P<part>(\.relax\d+)?){PACKED}")
OTHER_NAMES = (
    re.compile(rf"{KIND}(?P<part>[\w.-]+?){PACKED}"),
    re.compile(rf"(?P<kind>vasprun)(?P<part>[\w.-]+?)\.xml{PACKED}"),
)
"""As people keep what a restart would overwrite: ``OUTCAR.1``, ``vasprun_old.xml``."""
PARTS_OF_ONE = re.compile(
    r"(runs?|relax|opt|steps?|parts?|try|restart|cont|job|outputs?|old|prev|bak|backup)?[._-]?\d*",
    re.IGNORECASE,
)
"""Names of folders that may hold one relaxation between them, where nothing lies beside them."""
MOST_FOLDERS = 20
"""That are looked into."""
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
"""The files of one start of VASP: vasprun.xml, OUTCAR, POSCAR, CONTCAR, vasp.out, as far as there
are."""


@dataclass(frozen=True)
class OtherPart:
    """Starts of VASP under names that do not say where they belong."""

    name: str
    """What to call it."""
    find: Callable[[], list[VaspFiles]]
    """Its files, in the order of their names; raises as `find_vasp_files`."""


def find_vasp_files(path: Path) -> list[VaspFiles]:
    """The files of each start of VASP that a path holds, in the order of their names.

    Parameters
    ----------
    path
        A directory, in which custodian's archives of failed tries (``error.1.tar.gz``) come before
        the parts of a double relaxation (``OUTCAR.relax1``) and what has no such name; or one
        vasprun.xml or OUTCAR. All may be compressed.

    Returns an empty list where there are `other_parts` alone.

    Raises
    ------
    ValueError
        If there is no such path, or nothing of VASP's in it.
    ParentError
        If an archive is damaged.
    """
    if path.is_dir():
        found = _in_directory(path)
        if not found and not other_parts(path):
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


def other_parts(path: Path) -> list[OtherPart]:
    """What else of VASP's a directory holds: files under other names, and folders.

    Folders count where files of VASP lie beside them; else only those whose names are those of
    parts, such as ``run1``, and not of systems.

    Parameters
    ----------
    path
        A directory; anything else has no other parts.
    """
    if not path.is_dir():
        return []
    groups: dict[str, dict[str, VaspFile]] = {}
    for file in sorted(path.iterdir()):
        if NAME.fullmatch(file.name) or not file.is_file():
            continue
        if match := next((m for one in OTHER_NAMES if (m := one.fullmatch(file.name))), None):
            kind = "vasprun.xml" if match["kind"] == "vasprun" else match["kind"]
            groups.setdefault(match["part"], {})[kind] = _plain(file)
    parts = [_of_files(files) for files in groups.values() if _has_results(files)]
    folders = [each for each in sorted(path.iterdir()) if each.is_dir() and _is_place(each)]
    if not parts and not _in_directory(path):
        folders = [each for each in folders if PARTS_OF_ONE.fullmatch(each.name)]
    if len(folders) > MOST_FOLDERS:
        logger.warning(
            "%s: none of the %d folders of VASP's in it is looked into; their calls do not count",
            path,
            len(folders),
        )
        return parts
    return parts + [OtherPart(str(each), partial(_in_directory, each)) for each in folders]


def _of_files(files: VaspFiles) -> OtherPart:
    name = " with ".join(files[kind].name for kind in RESULTS if kind in files)
    return OtherPart(name, lambda: [files])


def _is_place(folder: Path) -> bool:
    """Whether results lie in a folder itself, as far as it may be looked into."""
    try:
        matches = [NAME.fullmatch(file.name) for file in folder.iterdir()]
    except OSError:
        return False
    return any(match is not None and match["kind"] in RESULTS for match in matches)


def _in_directory(path: Path) -> list[VaspFiles]:
    groups = [*_archived(path), *_lying_in(path).values()]
    return [each for each in groups if _has_results(each)]


def _has_results(files: VaspFiles) -> bool:
    return any(kind in files for kind in RESULTS)


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
