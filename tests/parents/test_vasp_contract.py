"""What every parent keeps to, kept to by VASP's drivers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

from finetuna_flows.errors import ParentError
from finetuna_flows.parents.specs import Continuation, VaspParentSpec
from finetuna_flows.protocols import ParentCalculator
from tests.contracts.parent import ParentContract
from tests.vasp import stand_in


@pytest.fixture(scope="module", autouse=True)
def command() -> Iterator[None]:
    with stand_in():
        yield


class VaspContract(ParentContract):
    continuation: Continuation
    keeps = frozenset({"vasp"})
    energy_tolerance = 1e-5  # eight digits
    gradient_tolerance = 1e-3  # of these

    @classmethod
    def build(cls) -> ParentCalculator:
        return VaspParentSpec(continuation=cls.continuation).build()


class TestCold(VaspContract):
    continuation = Continuation.COLD


class TestRestarted(VaspContract):
    continuation = Continuation.RESTART


class TestInteractive(VaspContract):
    continuation = Continuation.KEPT

    def test_permuted_atoms_have_permuted_forces(
        self, parent: ParentCalculator, atoms: Atoms
    ) -> None:
        """In a process of their own: one that runs keeps its order."""
        order = np.random.default_rng(4).permutation(len(atoms))
        straight = parent.label(atoms)
        with pytest.raises(ParentError, match=r"another order or another cell .* of its own"):
            parent.label(atoms[order])
        with contextlib.chdir(parent._directory), self.build() as other:  # type: ignore[attr-defined]
            permuted = other.label(atoms[order])
        assert permuted.energy == pytest.approx(straight.energy, abs=self.energy_tolerance)
        assert_allclose(permuted.forces, straight.forces[order], atol=self.force_tolerance)
