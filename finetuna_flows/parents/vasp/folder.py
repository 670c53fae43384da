"""The settings of a folder with VASP's input files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from monty.json import MSONable
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Kpoints, Poscar, Potcar, VaspInput

from finetuna_flows.parents.vasp.incar import without_motion
from finetuna_flows.parents.vasp.incar_file import read_incar

POTCAR_SPEC = "POTCAR.spec"
"""Names of POTCARs, one a line, as pymatgen and atomate2 write them."""


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
        """Digest of what the words of a level do not tell: k-points that are listed, POTCARs."""
        digest = sha256()
        if (points := self._kpoints()) is not None:
            said = {key: value for key, value in points.as_dict().items() if key != "comment"}
            digest.update(json.dumps(said, sort_keys=True, default=str).encode())
        for name in ("POTCAR", POTCAR_SPEC):
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
        own = Poscar.from_file(Path(self.folder) / "POSCAR", check_for_potcar=False)
        mine = own.structure if structure is None else structure
        if [site.species for site in mine] != [site.species for site in own.structure]:
            raise ValueError(
                f"{mine.formula} has other atoms, or another order, than POSCAR in {self.folder}; "
                "settings of a folder hold for its own structure"
            )
        return VaspInput(
            incar=Incar(self.incar),
            kpoints=self._kpoints(),
            poscar=Poscar(mine),
            potcar=self._potcar(own.site_symbols, names_alone=potcar_spec),
            potcar_spec=potcar_spec,
        )

    def _kpoints(self) -> Kpoints | None:
        file = Path(self.folder) / "KPOINTS"
        return Kpoints.from_file(file) if file.is_file() else None

    def _potcar(self, elements: list[str], *, names_alone: bool) -> Potcar | str:
        """POTCAR, or what POTCAR.spec names; the elements where names are enough and none given."""
        folder = Path(self.folder)
        potcar: Potcar | None = None
        names = list(elements)
        if (folder / "POTCAR").is_file():
            potcar = Potcar.from_file(str(folder / "POTCAR"))
            names = potcar.symbols
        elif (folder / POTCAR_SPEC).is_file():
            names = (folder / POTCAR_SPEC).read_text().split()
        elif not names_alone:
            raise ValueError(f"{folder} holds no POTCAR, without which VASP does not start; add it")
        if [name.partition("_")[0] for name in names] != elements:
            raise ValueError(
                f"POTCAR in {folder} is of {' '.join(names)} but POSCAR of {' '.join(elements)}; "
                "VASP would take POTCAR's word, so bring them into one order"
            )
        if names_alone:
            return "\n".join(names)
        return potcar or Potcar(names)
