"""Structures in: any file that ASE reads, pymatgen objects, Materials Project JSON."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

import ase.io
from ase import Atoms
from ase.io.formats import get_compression, open_with_compression
from ase.io.jsonio import decode
from pymatgen.core.structure import Molecule, Structure

from finetuna_flows.errors import StructureError, said_by
from finetuna_flows.structures.constraints import with_cartesian_constraints
from finetuna_flows.structures.convert import to_atoms, to_portable, to_structure

__all__ = ["parse_source", "read_structure", "to_atoms", "to_portable", "to_structure"]

Source = str | Path | Structure | Molecule | Atoms


def parse_source(words: str) -> tuple[Path, int | None]:
    """Split ``FILE@3`` into a path and an index; None where no index is given.

    A file whose whole name ends like that is meant literally.
    """
    match = re.fullmatch(r"(.+)@(-?\d+)", words)
    if match is None or Path(words).exists():
        return Path(words), None
    return Path(match[1]), int(match[2])


def read_structure(source: Source, index: int | None = None) -> Atoms:
    """Read one structure: constraints, tags and initial moments, but no calculator.

    Parameters
    ----------
    source
        A path (also ``FILE@3``), a pymatgen Structure or Molecule, or ASE Atoms (copied). A JSON
        file may hold a pymatgen structure, or one or several documents that hold it under
        ``structure``, as the Materials Project's do.
    index
        Which structure of a file, from 0, negative from the end; None: the only one.

    Raises
    ------
    StructureError
        If the file cannot be read, holds several structures and no index chooses, or holds
        something that cannot be relaxed as it is meant, such as partly occupied sites.
    """
    if isinstance(source, Atoms):
        atoms = with_cartesian_constraints(source)
        atoms.calc = None
        return atoms
    if isinstance(source, Structure | Molecule):
        return to_atoms(source)
    path = Path(source)
    if index is None:
        path, index = parse_source(str(source))
    frames = _frames(path)
    chosen = frames[_chosen(len(frames), index, path)]
    try:
        atoms = with_cartesian_constraints(chosen)
    except StructureError as exc:
        raise StructureError(f"{path}: {exc}") from exc
    _refuse_disorder(atoms, path)
    atoms.calc = None
    return atoms


def _chosen(count: int, index: int | None, path: Path) -> int:
    if count == 0:
        raise StructureError(f"{path} holds no structure")
    if index is None and count > 1:
        raise StructureError(
            f"{path} holds {count} structures but one is needed; choose by index from 0, "
            f"for example {path}@0 or, for the last, {path}@-1"
        )
    chosen = index or 0
    if not -count <= chosen < count:
        raise StructureError(f"index is {chosen} but {path} holds {count} structures, from 0")
    return chosen


def _frames(path: Path) -> Sequence[Atoms]:
    if not path.is_file():
        raise StructureError(f"{path} is not a file")
    try:
        plain, compression = get_compression(str(path))
        if plain.endswith(".json"):
            documents = _documents(json.loads(_text(path)))
            if documents is not None:
                return [_from_document(document) for document in documents]
        if plain.endswith("xyz") and compression is not None:
            # ASE seeks to and fro in this format, which a compressed stream does slowly
            frames = ase.io.read(io.StringIO(_text(path)), index=":", format="extxyz")
        else:
            frames = ase.io.read(path, index=":", do_not_split_by_at_sign=True)
    except StructureError:
        raise
    except Exception as exc:  # ASE's readers of broken files raise anything
        raise StructureError(
            f"{path} cannot be read as a structure: {type(exc).__name__}: {said_by(exc)}"
        ) from exc
    return frames if isinstance(frames, list) else [frames]


def _text(path: Path) -> str:
    with open_with_compression(str(path), "rt") as stream:
        return str(stream.read())


def _documents(data: object) -> list[Mapping[str, object]] | None:
    """Documents that hold a structure each; None where the file is none of those."""
    if isinstance(data, Mapping) and isinstance(data.get("data"), list):
        data = data["data"]  # the Materials Project's envelope
    documents = data if isinstance(data, list) else [data]
    held = [document for document in documents if _holds_structure(document)]
    return held if held and len(held) == len(documents) else None


def _holds_structure(document: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(document, Mapping) and (
        "sites" in document
        or "atoms_json" in document
        or isinstance(document.get("structure"), Mapping)
    )


def _from_document(document: Mapping[str, object]) -> Atoms:
    inner = document.get("structure")
    found = dict(inner) if isinstance(inner, Mapping) else dict(document)
    if "atoms_json" in found:
        atoms = decode(found["atoms_json"])
        if not isinstance(atoms, Atoms):
            raise StructureError(f"`atoms_json` holds {type(atoms).__name__} but must hold Atoms")
        return atoms
    if "lattice" in found:
        return to_atoms(Structure.from_dict(found))
    return to_atoms(Molecule.from_dict(found))


def _refuse_disorder(atoms: Atoms, path: Path) -> None:
    """Of a partly occupied site ASE's CIF reader keeps the first element and says nothing."""
    occupancy = atoms.info.get("occupancy")
    if not isinstance(occupancy, Mapping):
        return
    for site, elements in occupancy.items():
        if len(elements) > 1 or any(abs(share - 1) > 1e-3 for share in elements.values()):
            shares = ", ".join(f"{share:g} {symbol}" for symbol, share in elements.items())
            raise StructureError(
                f"{path} has partly occupied sites (site {site}: {shares}) but every site must "
                "hold one element; order it first"
            )
