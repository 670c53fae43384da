"""Relaxations by the stand-in for VASP, to be read again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ase import Atoms

from finetuna_flows.parents.vasp.sets import OC20SetGenerator
from finetuna_flows.structures.convert import to_structure
from tests.vasp import STAND_IN


def relax(
    atoms: Atoms, folder: Path, *, environ: dict[str, str] | None = None, **tags: Any
) -> Path:
    """Run the stand-in in `folder` with OC20's settings and `tags`; returns the folder."""
    folder.mkdir(parents=True)
    generator = OC20SetGenerator(user_incar_settings={"EDIFFG": -0.05, "NSW": 60, **tags})
    inputs = generator.get_input_set(to_structure(atoms), potcar_spec=True)
    inputs.write_input(folder)
    subprocess.run(
        [sys.executable, str(STAND_IN)],
        cwd=folder,
        env=os.environ | (environ or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return folder


def date_back(folder: Path) -> None:
    """Let a run have begun a century ago: two of the stand-in's may begin in the same second."""
    for name, mark in (("OUTCAR", " date "), ("vasprun.xml", '"date" type="string">')):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(f"{mark}20", f"{mark}19", 1))
