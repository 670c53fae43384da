"""Build the structures of the examples: oxygen put down beside its site on a slab.

The files are the same from every machine, since slab and site are chosen by rule and what is
written is rounded.

The lattice constants are those of the engines in the settings that the examples use: GPAW with
RPBE for aluminium, GFN1-xTB for copper (Γ only, so the cell is larger).
"""

from pathlib import Path

from ase import Atoms
from ase.io import write

from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.prepare import rattle
from finetuna_flows.structures.setting import gridded
from finetuna_flows.structures.slabs import build_slab

HERE = Path(__file__).parent


def oxygen_beside_its_site(metal: str, lattice_constant: float, size: tuple[int, int]) -> Atoms:
    """O on a (111) slab of two layers, 0.3 Å off an fcc hollow, the top layer rattled."""
    slab = build_slab(
        metal,
        lattice_constant=lattice_constant,
        n_layers=2,
        supercell=size,
        vacuum=10.0,
        fixed_layers=1,
    )
    atoms = add_adsorbate(slab, "O", "fcc", height=1.25)
    atoms.positions[-1] += atoms.cell[1] / size[1]  # the next hollow along the second vector
    atoms.positions[-1, :2] += (-0.25, -0.15)
    atoms.info.clear()
    return gridded(rattle(atoms, 0.05, seed=1))


if __name__ == "__main__":
    write(HERE / "O_on_Al111.extxyz", oxygen_beside_its_site("Al", 4.066, (2, 2)))
    write(HERE / "O_on_Cu111.extxyz", oxygen_beside_its_site("Cu", 3.865, (3, 3)))
