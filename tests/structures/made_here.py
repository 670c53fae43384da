"""Print what this process makes, and with which kernels of linear algebra, as JSON.

    python made_here.py [--all]

Each thing is told as text that shows every bit, or as its digest.
"""

import hashlib
import json
import runpy
import sys
import warnings
from collections.abc import Iterator
from dataclasses import astuple
from itertools import chain, product
from pathlib import Path
from tempfile import TemporaryDirectory

import scipy.linalg  # noqa: F401  # brings a library of its own
from ase import Atoms
from ase.build import bulk, fcc111, hcp0001
from ase.spacegroup import crystal
from threadpoolctl import threadpool_info

from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.convert import to_atoms, to_structure
from finetuna_flows.structures.fingerprint import start_key, structure_identity
from finetuna_flows.structures.sites import adsorption_sites
from finetuna_flows.structures.slabs import build_slab

BUILDER = Path(__file__).parents[2] / "workflows" / "structures" / "build.py"
FCC = ((1, 1, 1), (1, 0, 0), (1, 1, 0), (2, 1, 1))


def slabs(*, every: bool) -> Iterator[tuple[str, Atoms]]:
    """Slabs of metals, alloys and compounds, by name; a choice of them unless `every`."""
    metals = ("Pt", "Pd", "Ag", "Cu", "Al", "Au", "Ni", "Rh")
    few = (("Pt", miller) for miller in FCC), (("Ag", FCC[0]), ("Pd", FCC[0]))
    chosen = product(metals, FCC) if every else chain(*few)
    for (metal, miller), n_layers in product(chosen, (3, 4)):
        yield f"{metal} {miller} {n_layers}", build_slab(metal, miller, n_layers=n_layers)
    others = [("Ru", (0, 0, 1)), ("Fe", (1, 1, 0))]
    if every:
        others += [("Co", (0, 0, 1)), ("W", (1, 1, 0)), ("Ti", (0, 0, 1))]
        others += [("Fe", (1, 0, 0)), ("Fe", (1, 1, 1))]
    for metal, miller in others:
        for n_layers in (3, 4) if every else (4,):
            yield f"{metal} {miller} {n_layers}", build_slab(metal, miller, n_layers=n_layers)
    cubic = [3.7] * 3 + [90] * 3
    cu3pt = crystal(["Pt", "Cu"], [(0, 0, 0), (0.5, 0.5, 0)], spacegroup=221, cellpar=cubic)
    pdag = crystal(
        ["Pd", "Ag"],
        [(0, 0, 0), (0.5, 0.5, 0.5)],
        spacegroup=123,
        cellpar=[2.82, 2.82, 3.99, 90, 90, 90],
    )
    for name, alloy in (("Cu3Pt", cu3pt), ("PdAg", pdag)):
        for miller in FCC if every else FCC[:1]:
            yield f"{name} {miller}", build_slab(alloy, miller, supercell=(1, 1))
    magnesia = build_slab("MgO", (1, 0, 0), crystal="rocksalt", lattice_constant=4.21)
    yield "MgO (1, 0, 0)", magnesia
    zincblende = bulk("ZnS", "zincblende", a=5.41, cubic=True)
    for termination in (0, 1):
        yield f"ZnS {termination}", build_slab(zincblende, (1, 1, 1), termination=termination)
    for name, slab in (("fcc111", fcc111("Pt", (2, 2, 4))), ("hcp0001", hcp0001("Ru", (3, 3, 3)))):
        slab.center(vacuum=7.0, axis=2)
        slab.pbc = True
        slab.set_tags(None)
        yield f"{name} of ASE", slab


def made(*, every: bool) -> Iterator[tuple[str, str]]:
    """What is made, by name."""
    for name, slab in slabs(every=every):
        if "ASE" not in name:
            yield f"{name}: slab", digest(structure_identity(slab))
        sites = adsorption_sites(slab)
        yield f"{name}: sites", repr([astuple(site) for site in sites])
        for molecule, site in (("O", "hollow"), ("CO", sites[-1].name)):
            covered = add_adsorbate(slab, molecule, site)
            yield f"{name}: {molecule}", repr(covered.positions[len(slab) :].tolist())
            yield f"{name}: key with {molecule}", start_key(covered)
            through = to_atoms(to_structure(covered))
            yield f"{name}: key through a Structure", start_key(through)
    with TemporaryDirectory() as folder:
        (Path(folder) / "build.py").write_text(BUILDER.read_text())
        runpy.run_path(str(Path(folder) / "build.py"), run_name="__main__")
        for file in sorted(Path(folder).glob("*.extxyz")):
            yield file.name, file.read_text()


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = dict(made(every="--all" in sys.argv))
    kernels = sorted({library["architecture"] for library in threadpool_info()})
    json.dump({"kernels": kernels, "made": found}, sys.stdout)
