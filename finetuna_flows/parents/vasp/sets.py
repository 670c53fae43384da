"""OC20's settings as an input set generator of atomate2, and those of a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.vasp.setups import setups_defaults
from ase.data import chemical_symbols
from atomate2.vasp.sets.base import VaspInputGenerator
from monty.json import MSONable
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Kpoints, Poscar, Potcar, VaspInput

from finetuna_flows.parents.vasp.incar import without_motion
from finetuna_flows.parents.vasp.incar_file import read_incar

INCAR = {
    "ENCUT": 350.0,
    "GGA": "RP",
    "IBRION": 2,
    "NSW": 2000,
    "EDIFFG": -0.03,
    "ISIF": 0,
    "ISPIN": 1,
    "ISYM": 0,
    "SYMPREC": 1e-10,
    "LREAL": "Auto",
    "LAECHG": False,
    "LWAVE": False,
    "NCORE": 4,
}
"""RPBE, no spin, no dipole correction; all else is VASP's default. Chanussot et al., ACS Catal. 11,
6059 (2021)."""

KPOINT_LENGTH = 40.0
"""Å."""

FOLDER_FILES = ("INCAR", "KPOINTS", "POTCAR")
"""Of a folder, what decides its labels besides the structure."""


def _potcars() -> dict[str, str]:
    suffixes = setups_defaults["minimal"]
    return {el: el + suffixes.get(el, "") for el in chemical_symbols[1:95]}


def _config() -> dict[str, Any]:
    return {
        "INCAR": dict(INCAR),
        "KPOINTS": {},
        "POTCAR": _potcars(),
        "POTCAR_FUNCTIONAL": "PBE",
    }


@dataclass
class OC20SetGenerator(VaspInputGenerator):
    """What OC20 relaxed its slabs with, and the FINETUNA paper after it.

    Monkhorst-Pack points, ``max(1, round(40 / |component|))`` along the first two lattice vectors
    with the largest Cartesian component of each in Å, and 1 along the third. Least PAW data sets of
    the PBE release. ``user_incar_settings`` and the other fields of atomate2's generators work.
    """

    config_dict: dict[str, Any] = field(default_factory=_config)
    auto_ismear: bool = False
    validate_magmom: bool = False
    inherit_incar: bool = False

    @property
    def incar_updates(self) -> dict[str, Any]:
        """Without the LMAXMIX that pymatgen adds, which matters to later band structures alone.

        With the structure's initial moments, where ISPIN = 2 is said.
        """
        updates: dict[str, Any] = {"LMAXMIX": None}
        moments = self.structure.site_properties.get("magmom") if self.structure else None
        said = {tag.upper(): value for tag, value in self.user_incar_settings.items()}
        ispin = said.get("ISPIN", self.config_dict["INCAR"].get("ISPIN"))
        if moments and ispin == 2 and "MAGMOM" not in said:
            updates["MAGMOM"] = list(moments)
        return updates

    @property
    def kpoints_updates(self) -> Kpoints:  # type: ignore[override]  # pymatgen takes either
        """The grid of the structure that the set was asked for.

        Raises
        ------
        ValueError
            If it was asked for none.
        """
        if self.structure is None:
            raise ValueError("the k-points depend on the structure; ask for `get_input_set`")
        reach = np.abs(self.structure.lattice.matrix).max(axis=1)
        first, second = (max(1, round(KPOINT_LENGTH / float(each))) for each in reach[:2])
        return Kpoints(
            comment=f"OC20, {KPOINT_LENGTH:g} A",
            style=Kpoints.supported_modes.Monkhorst,
            kpts=((first, second, 1),),
        )


@dataclass(frozen=True)
class VaspFolder(MSONable):
    """The settings of a folder with INCAR, POSCAR, POTCAR and KPOINTS, taken as they are.

    As the original FINETUNA was used. For labels, what its INCAR says of the motion (IBRION, NSW,
    POTIM, EDIFFG) is replaced; see `parents.vasp.incar`.
    """

    folder: str
    """Remembered by its absolute path."""
    user_incar_settings: dict[str, Any] = field(default_factory=dict)
    """Tags in addition to INCAR's, or instead of them."""

    def __post_init__(self) -> None:
        folder = Path(self.folder).expanduser().resolve()
        object.__setattr__(self, "folder", str(folder))
        for name in ("INCAR", "POSCAR"):
            if not (folder / name).is_file():
                raise ValueError(
                    f"{folder} holds no {name} but must hold INCAR, POSCAR and POTCAR, and KPOINTS "
                    "unless INCAR has KSPACING"
                )
        if not (folder / "KPOINTS").is_file() and "KSPACING" not in self.incar:
            raise ValueError(
                f"{folder} holds no KPOINTS and INCAR no KSPACING; say one of them: VASP's own "
                "default of 0.5 is coarse"
            )
        without_motion(self.incar)

    @property
    def incar(self) -> dict[str, Any]:
        """All tags."""
        tags = read_incar(Path(self.folder) / "INCAR")
        return {**tags, **{tag.upper(): value for tag, value in self.user_incar_settings.items()}}

    @property
    def said_incar(self) -> dict[str, Any]:
        """The tags that the user stands by: all but those of the motion."""
        return without_motion(self.incar)[0]

    @property
    def fmax(self) -> float | None:
        """eV/Å by EDIFFG; None where that is missing, or is an energy."""
        limit = float(self.incar.get("EDIFFG", 0.0))
        return -limit if limit < 0 else None

    def fingerprint(self) -> str:
        """Digest of the files that decide what a label is."""
        digest = sha256()
        for name in FOLDER_FILES:
            file = Path(self.folder) / name
            digest.update(file.read_bytes() if file.is_file() else b"")
        return digest.hexdigest()

    def get_input_set(
        self,
        structure: Structure | None = None,
        prev_dir: str | Path | None = None,  # noqa: ARG002 - atomate2's generators have it
        potcar_spec: bool = False,
    ) -> VaspInput:
        """The folder's files, with the positions of `structure`.

        Parameters
        ----------
        structure
            In POSCAR's order; None: the one in POSCAR.
        prev_dir
            Nothing is taken over from it.
        potcar_spec
            Whether symbols are enough, so that POTCAR may be missing.

        Raises
        ------
        ValueError
            If the structure has other atoms, or another order, than POSCAR, or there is no POTCAR.
        """
        folder = Path(self.folder)
        own = Poscar.from_file(folder / "POSCAR", check_for_potcar=False)
        mine = own.structure if structure is None else structure
        if [site.species for site in mine] != [site.species for site in own.structure]:
            raise ValueError(
                f"{mine.formula} has other atoms, or another order, than POSCAR in {folder}; "
                "settings of a folder hold for its own structure"
            )
        kpoints = folder / "KPOINTS"
        potcar = folder / "POTCAR"
        if not (potcar_spec or potcar.is_file()):
            raise ValueError(f"{folder} holds no POTCAR, without which VASP does not start; add it")
        return VaspInput(
            incar=Incar(self.incar),
            kpoints=Kpoints.from_file(kpoints) if kpoints.is_file() else None,
            poscar=Poscar(mine),
            potcar="\n".join(own.site_symbols) if potcar_spec else Potcar.from_file(str(potcar)),
            potcar_spec=potcar_spec,
        )
