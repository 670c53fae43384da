import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc111
from ase.constraints import FixAtoms, FixCartesian
from monty.json import MontyDecoder, MontyEncoder

from finetuna_flows.errors import StructureError
from finetuna_flows.geometry import free_components
from finetuna_flows.structures.prepare import (
    Preparation,
    fix_bottom_layers,
    rattle,
    tag_atoms,
)
from finetuna_flows.structures.tags import tagged_adsorbate


@pytest.fixture
def slab() -> Atoms:
    atoms: Atoms = fcc111("Cu", (2, 2, 3), a=3.6, vacuum=6.0, periodic=True)
    add_adsorbate(atoms, "O", 1.2, "fcc")
    atoms.set_tags(None)
    return atoms


def fixed(atoms: Atoms) -> list[int]:
    return np.flatnonzero(~free_components(atoms).any(axis=1)).tolist()


def test_bottom_layers_are_fixed(slab: Atoms) -> None:
    assert fixed(fix_bottom_layers(slab, 2)) == list(range(8))
    assert fixed(slab) == []


def test_bottom_is_the_bottom_wherever_the_cell_is_cut(slab: Atoms) -> None:
    slab.translate((0, 0, -7.0))
    slab.wrap()
    assert fixed(fix_bottom_layers(slab, 1)) == [0, 1, 2, 3]


def test_adsorbate_is_no_layer(slab: Atoms) -> None:
    slab.set_tags([1] * 12 + [2])
    assert 12 not in fixed(fix_bottom_layers(slab, 3))
    with pytest.raises(StructureError, match="`n_layers` is 4 but the slab has 3"):
        fix_bottom_layers(slab, 4)


def test_what_was_fixed_stays_fixed(slab: Atoms) -> None:
    slab.set_constraint([FixAtoms([11]), FixCartesian([10], (True, False, False))])
    free = free_components(fix_bottom_layers(slab, 1))
    assert fixed(fix_bottom_layers(slab, 1)) == [0, 1, 2, 3, 11]
    assert free[10].tolist() == [False, True, True]


def test_tags_follow_oc20(slab: Atoms) -> None:
    slab.set_constraint(FixAtoms(range(8)))
    tagged = tag_atoms(slab, [12])
    assert tagged.get_tags().tolist() == [0] * 8 + [1] * 4 + [2]
    tagged.set_constraint()
    assert tag_atoms(tagged).get_tags().tolist() == [1] * 12 + [2]


def test_rattle_moves_free_components_only(slab: Atoms) -> None:
    slab.set_constraint([FixAtoms(range(8)), FixCartesian([8], (True, True, False))])
    moves = rattle(slab, 0.1, seed=3).positions - slab.positions
    assert ((moves != 0.0) == free_components(slab)).all()


def test_rattle_is_repeatable_and_has_the_width_asked_for() -> None:
    atoms = Atoms("H2000")
    moves = rattle(atoms, 0.1, seed=1).positions
    assert (moves == rattle(atoms, 0.1, seed=1).positions).all()
    assert (moves != rattle(atoms, 0.1, seed=2).positions).all()
    assert moves.std() == pytest.approx(0.1, rel=0.05)  # four standard errors


def test_preparation_does_nothing_by_itself(slab: Atoms) -> None:
    slab.set_constraint(FixAtoms([3]))
    slab.set_tags([7] * 13)
    assert Preparation().apply(slab) == slab
    assert fixed(Preparation().apply(slab)) == [3]


def test_preparation_combines_all(slab: Atoms) -> None:
    spec = Preparation(adsorbate=(12,), fixed_layers=1, rattle=0.05, seed=4)
    prepared = spec.apply(slab)
    assert fixed(prepared) == [0, 1, 2, 3]
    assert prepared.get_tags().tolist() == [0] * 4 + [1] * 8 + [2]
    expected = rattle(fix_bottom_layers(slab, 1), 0.05, seed=4)
    assert (prepared.positions == expected.positions).all()


def test_preparation_crosses_json() -> None:
    spec = Preparation(adsorbate=(1, 2), fixed_layers=2, rattle=0.1, seed=5)
    again = MontyDecoder().decode(MontyEncoder().encode(spec))
    assert again == spec
    assert hash(again) == hash(spec)


def test_wrong_arguments_refuses(slab: Atoms) -> None:
    with pytest.raises(ValueError, match="adsorbate index is 13 but must be from 0 to 12"):
        tag_atoms(slab, [13])
    with pytest.raises(ValueError, match="`n_layers` is -1 but must not be negative"):
        fix_bottom_layers(slab, -1)
    with pytest.raises(ValueError, match="`stdev` is -1 but must not be negative"):
        rattle(slab, -1, seed=0)
    with pytest.raises(ValueError, match="`fixed_layers` is -1"):
        Preparation(fixed_layers=-1)
    with pytest.raises(ValueError, match="`rattle` is nan"):
        Preparation(rattle=float("nan"))


def test_tags_that_count_layers_name_no_adsorbate() -> None:
    """As ASE's builders set them: tag 2 is a layer of metal, the adsorbate has tag 0."""
    slab = fcc111("Ni", (2, 2, 3), vacuum=6.0)
    add_adsorbate(slab, "O", 1.2, "fcc")
    assert tagged_adsorbate(slab) == []
    thin = fcc111("Ni", (2, 2, 2), vacuum=6.0)
    thin.set_constraint(FixAtoms(mask=thin.get_tags() == 2))
    assert tagged_adsorbate(thin) == []
    assert tagged_adsorbate(tag_atoms(slab, [12])) == [12]
