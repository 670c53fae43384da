"""OC20's settings as an input set generator of atomate2."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.vasp.setups import setups_defaults
from ase.data import chemical_symbols
from atomate2.vasp.sets.base import VaspInputGenerator
from pymatgen.core import Structure
from pymatgen.io.vasp import Kpoints

from finetuna_flows.axis import AXES, gaps_in_words, has_vacuum, surface_axis
from finetuna_flows.errors import StructureError
from finetuna_flows.ties import nearest_whole

logger = logging.getLogger(__name__)

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

    Monkhorst-Pack points, ``max(1, round(40 / |component|))`` along the two lattice vectors in the
    surface with the largest Cartesian component of each in Å, and 1 along the one that leads out of
    it, in OC20 the third: see `across`. Least PAW data sets of the PBE release.
    ``user_incar_settings`` and the other fields of atomate2's generators work.
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
        a, b, c = (max(1, nearest_whole(KPOINT_LENGTH / float(each))) for each in reach)
        once = across(self.structure)
        grid = (1 if 0 in once else a, 1 if 1 in once else b, 1 if 2 in once else c)
        return Kpoints(
            comment=f"OC20, {KPOINT_LENGTH:g} A",
            style=Kpoints.supported_modes.Monkhorst,
            kpts=(grid,),
        )


def across(structure: Structure) -> tuple[int, ...]:
    """Lattice vectors that get one k-point: the one out of the surface, where there is a surface.

    OC20 holds slabs alone. A molecule in a box is sampled as a slab of OC20's would be, a wire or
    molecule with no vacuum along the third vector once along each with vacuum, and a crystal along
    all three; the log says so.
    """
    atoms = Atoms(
        [site.specie.Z for site in structure],
        structure.cart_coords,
        cell=structure.lattice.matrix,
        pbc=structure.lattice.pbc,
        tags=structure.site_properties.get("tags"),
    )
    try:
        axis = surface_axis(atoms)
    except StructureError as exc:
        vacuum = has_vacuum(atoms)
        once = (2,) if vacuum[2] else tuple(np.flatnonzero(vacuum).tolist())
        along = " and ".join(AXES[each] for each in once) or "no axis"
        logger.warning("%s; one k-point along %s", exc, along)
        return once
    if axis != 2:
        words = gaps_in_words(atoms)
        logger.info("one k-point along %s, out of the surface (%s)", AXES[axis], words)
    return (axis,)
