"""ABINIT's input file for `IpiParentSpec`, with what its i-PI driver needs.

ABINIT 9.6 takes geometries in one process alone: of two ranks of ``mpirun`` the second ends at the
second geometry, so that the engine is started again for each label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.units import Bohr

from finetuna_flows.geometry import Array

INPUT = "abinit.in"
NEEDED: Mapping[str, object] = {
    "ionmov": 28,
    "optcell": 0,
    "expert_user": 1,
    "ntime": 1_000_000,
    "nsym": 1,
    "chkprim": 0,
}
"""``ionmov`` 28 takes geometries from a socket, ``ntime`` at most. ``nsym``: the symmetry of the
input file would be imposed on every geometry after it."""
OF_THE_STRUCTURE = (
    ("acell", "rprim", "angdeg", "natom", "ntypat", "typat", "znucl", "xred", "xcart", "xangst"),
    ("nsppol", "spinat", "pp_dirpath", "pseudos", "ndtset"),
)


@dataclass
class AbinitInput:
    """What `abinit` makes."""

    pseudo_dir: str
    pseudopotentials: Mapping[str, str]
    variables: Mapping[str, object]
    directory: Path = Path()

    def write_input(self, atoms: Atoms, *_: object, **__: object) -> None:
        """Write ``abinit.in``; lengths in Bohr, since its own differs from ASE's in the 9th digit.

        Raises
        ------
        ValueError
            If an element has no pseudopotential, or the cell is no cell.
        """
        kinds = list(dict.fromkeys(atoms.get_chemical_symbols()))
        lacking = [each for each in kinds if each not in self.pseudopotentials]
        if lacking:
            raise ValueError(f"`pseudopotentials` lacks {', '.join(lacking)}")
        if atoms.cell.rank < 3:
            raise ValueError("the structure lacks a cell vector but ABINIT wants three")
        (Path(self.directory) / INPUT).write_text("\n".join(self._lines(atoms, kinds)) + "\n")

    def _lines(self, atoms: Atoms, kinds: Sequence[str]) -> Iterator[str]:
        yield from (f"{name} {_said(value)}" for name, value in self.variables.items())
        moments = np.asarray(atoms.get_initial_magnetic_moments())
        if moments.any():
            along_z = moments.ndim == 1
            kind = {"nsppol": 2} if along_z else {"nspinor": 2, "nspden": 4}
            yield from (f"{name} {kind[name]}" for name in kind if name not in self.variables)
            vectors = moments[:, None] * [0.0, 0.0, 1.0] if along_z else moments
            yield from _block("spinat", vectors)
        yield "acell 3*1.0"
        yield from _block("rprim", atoms.cell.array / Bohr)
        yield f"natom {len(atoms)}"
        yield f"ntypat {len(kinds)}"
        yield f"znucl {_said([atomic_numbers[each] for each in kinds])}"
        yield f"typat {_said([1 + kinds.index(each) for each in atoms.get_chemical_symbols()])}"
        yield from _block("xcart", atoms.positions / Bohr)
        yield f'pp_dirpath "{self.pseudo_dir}"'
        yield f'pseudos "{", ".join(self.pseudopotentials[each] for each in kinds)}"'


def abinit(
    pseudo_dir: str, pseudopotentials: Mapping[str, str], variables: Mapping[str, object]
) -> AbinitInput:
    """Make the writer of ``abinit.in``.

    Parameters
    ----------
    pseudo_dir
        Folder of the pseudopotentials.
    pseudopotentials
        File by chemical symbol.
    variables
        Of ABINIT, by name, in its units: ``ecut`` (Hartree), and a tolerance of forces or energy
        for each geometry, such as ``toldff``; lists are written as their numbers.

    Raises
    ------
    ValueError
        If a variable contradicts a label, is said by the structure, or one is lacking.
    """
    said = {name.lower(): value for name, value in variables.items()}
    for name, value in NEEDED.items():
        if said.get(name, value) != value:
            raise ValueError(f"`variables` has {name} = {said[name]!r} but a label needs {value!r}")
    for name in (each for names in OF_THE_STRUCTURE for each in names if each in said):
        raise ValueError(f"`variables` has {name}, which is written from the structure")
    if "ecut" not in said:
        raise ValueError("`variables` lacks ecut, the cutoff of the plane waves in Hartree")
    return AbinitInput(pseudo_dir, dict(pseudopotentials), {**said, **NEEDED})


def _said(value: object) -> str:
    return " ".join(map(_said, value)) if isinstance(value, list | tuple) else str(value)


def _block(name: str, rows: Array) -> Iterator[str]:
    yield name
    yield from (" ".join(f"{each:.15f}" for each in row) for row in rows)
