"""fairchem's networks taken apart: what heads make of kept features is what the whole says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch
from ase import Atoms

from finetuna_flows.geometry import free_components
from finetuna_flows.protocols import BranchingSurrogate, CacheableSurrogate, FeatureSurrogate
from finetuna_flows.surrogates.specs import FairchemSpec
from tests.contracts.surrogate import BranchingSurrogateContract, random_directions
from tests.fakes.small_esen import small_direct_esen, small_esen, small_uma
from tests.surrogates.structures import slab, water

if TYPE_CHECKING:  # importing it while tests are collected shows fairchem's warnings
    from finetuna_flows.surrogates.fairchem_cached import CacheableFairchemSurrogate

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:index_reduce:UserWarning"),
]
KINDS = ("conservative", "direct", "experts")


@pytest.fixture(params=KINDS)
def surrogate(request: pytest.FixtureRequest) -> CacheableFairchemSurrogate:
    paths = (small_esen, small_direct_esen, small_uma)
    return build(paths[KINDS.index(request.param)]())


def build(path: Path) -> CacheableFairchemSurrogate:
    built = FairchemSpec(str(path), "oc20").build()
    assert isinstance(built, CacheableSurrogate)
    assert isinstance(built, FeatureSurrogate)
    assert isinstance(built, BranchingSurrogate)
    return cast("CacheableFairchemSurrogate", built)


class TestConservativeHeads(BranchingSurrogateContract):
    energy_tolerance = 1e-5
    force_tolerance = 1e-5

    def checkpoint(self) -> Path:
        return small_esen()

    def branches(self) -> tuple[BranchingSurrogate, BranchingSurrogate]:
        return build(self.checkpoint()), build(self.checkpoint())

    def periodic(self) -> Atoms:
        return slab()

    def molecule(self) -> Atoms:
        return water()


class TestDirectHeads(TestConservativeHeads):
    def checkpoint(self) -> Path:
        return small_direct_esen()


class TestHeadsOfExperts(TestConservativeHeads):
    def checkpoint(self) -> Path:
        return small_uma()


def test_another_task_is_another_backbone() -> None:
    surface, cation = (
        FairchemSpec(str(small_uma()), "oc20").build(),
        FairchemSpec(str(small_uma()), "omol", charge=1, spin=2).build(),
    )
    assert isinstance(surface, BranchingSurrogate)
    assert not surface.shares_backbone(cation)


def loss(output: tuple[torch.Tensor, torch.Tensor], free: torch.Tensor) -> torch.Tensor:
    """Some function of the energy (eV) and of the free forces (eV/Å), shape ()."""
    energy, forces = output
    return forces[free].square().sum() + 0.1 * energy


def test_heads_say_the_same_on_kept_features(surrogate: CacheableFairchemSurrogate) -> None:
    atoms = slab()
    free = free_components(atoms)
    prepared = surrogate.prepare(atoms)
    cached = surrogate.cache(prepared, free)
    for factor in (1.0, 1.3):  # also after the heads have changed
        with torch.no_grad():
            for name, weight in surrogate.named_parameters():
                if name.startswith("output_heads."):
                    weight.mul_(factor)
        energy, forces = surrogate.evaluate(prepared)
        kept_energy, kept_forces = (part.detach() for part in surrogate.evaluate_head(cached))
        assert kept_energy.item() == pytest.approx(energy.item(), abs=1e-5)
        assert kept_forces.numpy()[free] == pytest.approx(forces.numpy()[free], abs=1e-5)
    if surrogate.conservative:
        assert not kept_forces.numpy()[~free].any()


def test_heads_learn_the_same_from_kept_features(surrogate: CacheableFairchemSurrogate) -> None:
    atoms = slab()
    free = free_components(atoms)
    prepared = surrogate.prepare(atoms)
    cached = surrogate.cache(prepared, free)
    heads = [w for n, w in surrogate.named_parameters() if n.startswith("output_heads.")]
    for weight in heads:
        weight.requires_grad_(True)
    mask = torch.as_tensor(free)
    slopes = [
        torch.autograd.grad(loss(output, mask), heads, allow_unused=True, materialize_grads=True)
        for output in (surrogate.evaluate(prepared), surrogate.evaluate_head(cached))
    ]
    scale = max(slope.abs().max().item() for slope in slopes[0])
    assert scale > 1e-3
    for whole, kept in zip(*slopes, strict=True):
        assert kept.numpy() == pytest.approx(whole.numpy(), abs=1e-4 * scale)


def test_nothing_free_keeps_the_energy(surrogate: CacheableFairchemSurrogate) -> None:
    prepared = surrogate.prepare(water())
    cached = surrogate.cache(prepared, np.zeros((3, 3), dtype=bool))
    energy, _ = surrogate.evaluate_head(cached)
    assert energy.item() == pytest.approx(surrogate.evaluate(prepared)[0].item(), abs=1e-5)


@pytest.mark.parametrize("atoms", [slab(), water()], ids=["slab", "water"])
def test_slopes_of_features_are_their_differences(
    surrogate: CacheableFairchemSurrogate, atoms: Atoms
) -> None:
    free = free_components(atoms)
    features = surrogate.features(atoms, free)
    assert not features.slopes[:, ~free].any()

    def values(way: np.ndarray) -> np.ndarray:
        moved = atoms.copy()
        moved.set_constraint()
        moved.positions += way
        return surrogate.features(moved, free).values

    for direction in random_directions(atoms, count=1):
        way = 1e-2 * direction * free
        near, far = values(way) - values(-way), values(2 * way) - values(-2 * way)
        expected = np.sum(features.slopes * direction * free, axis=(1, 2))
        assert (8 * near - far) / 0.12 == pytest.approx(expected, abs=3e-3)  # single precision
        assert np.abs(expected).max() > 0.05


def test_features_of_two_cells_are_twice_those_of_one() -> None:
    surrogate = build(small_esen())
    one, two = slab(), slab().repeat((2, 1, 1))
    found = [surrogate.features(atoms, free_components(atoms)).values for atoms in (one, two)]
    assert found[1] == pytest.approx(2 * found[0], abs=1e-4)


def test_taking_apart_leaves_the_weights_at_rest(surrogate: CacheableFairchemSurrogate) -> None:
    surrogate.features(water(), np.ones((3, 3), dtype=bool))
    surrogate.cache(surrogate.prepare(water()), np.ones((3, 3), dtype=bool))
    assert not any(
        weight.requires_grad or weight.grad is not None
        for _, weight in surrogate.named_parameters()
    )


def test_what_was_not_cached_is_refused(surrogate: CacheableFairchemSurrogate) -> None:
    with pytest.raises(TypeError, match="got a Atoms but needs what `cache` returns"):
        surrogate.evaluate_head(water())
