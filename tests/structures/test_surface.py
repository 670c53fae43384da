import numpy as np
import pytest
from ase.build import fcc111, fcc211, molecule

from finetuna_flows.errors import StructureError
from finetuna_flows.structures.surface import heights, layers, surface_normal, vacuum

SLAB = fcc111("Cu", (2, 2, 4), a=3.6, vacuum=6.0, periodic=True)
SPACING = 3.6 / np.sqrt(3)


@pytest.mark.parametrize("shift", [0.0, -5.0, -7.0, 3.3, 9.9, 100.0])
def test_heights_do_not_see_translation_and_wrapping(shift: float) -> None:
    slab = SLAB.copy()
    slab.translate((0.3, 0.2, shift))
    slab.wrap()
    expected = SLAB.positions[:, 2] - SLAB.positions[:, 2].min()
    assert heights(slab) == pytest.approx(expected, abs=1e-7)
    assert vacuum(slab) == pytest.approx(12.0)


def test_heights_do_not_see_rotation() -> None:
    slab = SLAB.copy()
    slab.rotate(40, (1, 2, 3), rotate_cell=True)
    assert heights(slab) == pytest.approx(heights(SLAB), abs=1e-7)


def test_normal_stays_on_the_side_of_the_third_vector() -> None:
    slab = SLAB.copy()
    slab.set_cell(slab.cell[[1, 0, 2]])
    assert surface_normal(slab) == pytest.approx((0, 0, 1))


def test_isolated_slab_has_no_end_of_vacuum() -> None:
    slab = fcc111("Cu", (2, 2, 3), a=3.6)
    assert vacuum(slab) == np.inf
    assert heights(slab).max() == pytest.approx(2 * SPACING)


def test_layers_in_permuted_order() -> None:
    order = np.random.default_rng(1).permutation(16)
    assert layers(heights(SLAB[order])).tolist() == (np.arange(16) // 4)[order].tolist()


def test_layers_survive_rattling_and_steps() -> None:
    slab = SLAB.copy()
    slab.rattle(0.05, seed=0)
    assert layers(heights(slab)).tolist() == (np.arange(16) // 4).tolist()
    assert layers(heights(fcc211("Cu", (3, 1, 3), a=3.6, vacuum=6.0))).max() == 8


def test_molecule_refuses() -> None:
    with pytest.raises(StructureError, match="OH2 span 0 Å² but a slab needs a surface"):
        heights(molecule("H2O"))
