import numpy as np
import pytest
from ase import Atoms
from ase.build import bcc110, fcc111, fcc211, hcp0001

from finetuna_flows.structures.exposure import is_exposed
from finetuna_flows.structures.surface import heights, layers


def exposed_layers(slab: Atoms) -> list[int]:
    """Layers of which an atom sees the vacuum past the others."""
    everything = np.arange(len(slab))
    number = layers(heights(slab))
    seen = [is_exposed(slab, each, np.delete(everything, each), 2) for each in range(len(slab))]
    return sorted({int(each) for each in number[seen]})


@pytest.mark.parametrize(
    "slab", [fcc111("Pd", (2, 2, 5)), bcc110("Fe", (2, 2, 5)), hcp0001("Ti", (1, 1, 5))]
)
@pytest.mark.parametrize("periodic", [False, True])
def test_of_a_closed_surface_the_outer_layers_are_exposed(slab: Atoms, periodic: bool) -> None:
    slab.center(vacuum=8.0, axis=2)
    slab.pbc[2] = periodic
    for shift in (0.0, -11.0):
        slab.translate((0, 0, shift))
        slab.wrap()
        assert exposed_layers(slab) == [0, 4]


def test_of_a_step_its_whole_terrace_is_exposed() -> None:
    slab = fcc211("Cu", (3, 2, 4), vacuum=8.0)
    assert exposed_layers(slab) == [0, 1, 2, 9, 10, 11]
