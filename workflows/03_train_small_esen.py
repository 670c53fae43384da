"""Train a small eSEN on EMT labels and write it as one of fairchem's inference checkpoints.

python workflows/03_train_small_esen.py --out esen.pt --structures 1200 --minutes 6

For tests and examples, not for science: EMT knows C, N, O and H only weakly. Use the file with
FairchemSpec("esen.pt", task="oc20").
"""

import argparse
import time
from collections.abc import Sequence
from itertools import cycle
from typing import Any, get_args

import hydra
import numpy as np
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from fairchem.core.datasets.atomic_data import AtomicData, atomicdata_list_to_batch
from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint
from torch.optim.swa_utils import AveragedModel

from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.prepare import rattle
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.structures.surface_points import Kind
from finetuna_flows.surrogates.specs import FairchemSpec

METALS = ("Cu", "Ag", "Au", "Ni", "Pd", "Pt", "Al")
ADSORBATES = ("C", "N", "O", "H", "CO", "OH", "NH", "CH", "N2", "NO")
PER_SITE = 10  # rattled copies of one adsorbate on one site
BATCH = 8
RATE, DECAY = 5e-3, 0.99  # of the optimizer, of the mean of the weights
LARGEST_FORCE = 15.0  # eV/Å; structures beyond it are left out
MODELS = "fairchem.core.models.uma.escn_md"
UNIT = "fairchem.core.units.mlip_unit.mlip_unit"
NORMALIZATION = "fairchem.core.modules.normalization"


def label_structures(count: int, seed: int, metals: Sequence[str] = METALS) -> list[Atoms]:
    """Rattled adsorbates on (111) slabs with EMT's energies (eV) and forces (eV/Å)."""
    rng = np.random.default_rng(seed)
    slabs = [build_slab(metal, n_layers=3, vacuum=10.0, fixed_layers=0) for metal in metals]
    labelled: list[Atoms] = []
    for molecule, slab in zip(cycle(ADSORBATES), cycle(slabs), strict=False):
        covered = add_adsorbate(slab, molecule, get_args(Kind)[rng.integers(3)])
        for scale in rng.uniform(0.02, 0.25, PER_SITE):
            atoms = rattle(covered, float(scale), seed=int(rng.integers(2**31)))
            atoms.calc = EMT()
            energy, forces = atoms.get_potential_energy(), atoms.get_forces()
            if np.abs(forces).max() < LARGEST_FORCE:
                atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
                labelled.append(atoms)
        if len(labelled) >= count:
            break
    return labelled[:count]


def model_config(*, direct: bool = False, channels: int = 32, layers: int = 2) -> dict[str, Any]:
    """What hydra instantiates: backbone and heads by their import paths."""
    backbone = dict.fromkeys(("sphere_channels", "hidden_channels", "edge_channels"), channels)
    backbone |= {"num_layers": layers, "lmax": 2, "mmax": 2, "num_distance_basis": 32}
    graph = {"cutoff": 5.0, "otf_graph": True, "always_use_pbc": False, "direct_forces": direct}
    kinds = {"ff_type": "spectral", "chg_spin_emb_type": "rand_emb"}
    mapping = {"dataset_mapping": {"oc20": "oc20"}}
    heads = {"energy": "MLP_Energy_Head", "forces": "Linear_Force_Head"}
    heads = heads if direct else {"both": "MLP_EFS_Head"}
    return {
        "_target_": "fairchem.core.models.base.HydraModel",
        "backbone": {"model": f"{MODELS}.eSCNMDBackbone"} | backbone | graph | kinds | mapping,
        "heads": {name: {"module": f"{MODELS}.{head}"} for name, head in heads.items()},
        "pass_through_head_outputs": not direct,
    }


def tasks_config(labelled: list[Atoms]) -> list[dict[str, Any]]:
    """Energy and forces of OC20; references fitted to the energies, forces scaled to one."""
    counts = np.array([np.bincount(atoms.numbers, minlength=100) for atoms in labelled])
    energies = np.array([atoms.get_potential_energy() for atoms in labelled])
    references, seen = np.zeros(100), counts.any(axis=0)
    references[seen] = np.linalg.lstsq(counts[:, seen], energies, rcond=None)[0]
    scale = float(np.sqrt(np.mean([np.mean(atoms.get_forces() ** 2) for atoms in labelled])))

    def task(name: str, level: str, size: int, **more: object) -> dict[str, Any]:
        norm = {"_target_": f"{NORMALIZATION}.normalizer.Normalizer", "mean": 0.0, "rmsd": scale}
        spec = {"_target_": f"{UNIT}.OutputSpec", "dim": [size], "dtype": "float32"}
        words = {"name": name, "property": name, "level": level, "datasets": ["oc20"]} | more
        return {"_target_": f"{UNIT}.Task", "out_spec": spec, "normalizer": norm} | words

    offsets = {
        "_target_": f"{NORMALIZATION}.element_references.ElementReferences",
        "element_references": {"_target_": "torch.DoubleTensor", "_args_": [references.tolist()]},
    }
    return [task("energy", "system", 1, element_references=offsets), task("forces", "atom", 3)]


def train(
    labelled: list[Atoms], config: dict[str, Any], *, seed: int, minutes: float = 0, steps: int = 0
) -> MLIPInferenceCheckpoint:
    """Adam on energies per atom and forces for so many steps or minutes; keeps mean weights."""
    tasks = tasks_config(labelled)
    energy, forces = (hydra.utils.instantiate(task) for task in tasks)
    data = [AtomicData.from_ase(atoms, task_name="oc20") for atoms in labelled]
    torch.manual_seed(seed)
    model = hydra.utils.instantiate(config).train()
    mean = AveragedModel(model, avg_fn=lambda old, new, _: DECAY * old + (1 - DECAY) * new)
    optimizer = torch.optim.Adam(model.parameters())
    rng, start, step, progress = np.random.default_rng(seed), time.monotonic(), 0, 0.0
    while progress < 1:
        batch = atomicdata_list_to_batch([data[i] for i in rng.integers(len(data), size=BATCH)])
        output = model(batch)
        errors = output["forces"]["forces"] - forces.normalizer.norm(batch.forces)
        wanted = energy.element_references.apply_refs(batch, batch.energy.double())
        misses = output["energy"]["energy"] - energy.normalizer.norm(wanted)
        loss = errors.norm(dim=1).mean() + (misses.abs() / batch.natoms).mean()
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, 20 * progress + 0.05) * (1 - progress)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        mean.update_parameters(model)
        step += 1
        progress = step / steps if steps else (time.monotonic() - start) / 60 / minutes
    return MLIPInferenceCheckpoint(config, model.state_dict(), mean.state_dict(), tasks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="esen.pt")
    parser.add_argument("--structures", type=int, default=1200)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--steps", type=int, default=0, help="instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--direct", action="store_true", help="forces from a head of their own")
    asked = parser.parse_args()
    if asked.structures < 200:
        parser.error("--structures must be at least 200: fewer do not hold all elements")
    torch.set_num_threads(1)
    structures = label_structures(asked.structures, asked.seed)
    kept, held_out = np.split(np.arange(len(structures)), [-max(1, len(structures) // 10)])
    budget = {"seed": asked.seed, "minutes": asked.minutes, "steps": asked.steps}
    config = model_config(direct=asked.direct)
    torch.save(train([structures[i] for i in kept], config, **budget), asked.out)
    surrogate = FairchemSpec(asked.out, task="oc20").build()
    found = np.concatenate([surrogate.predict(structures[i]).forces for i in held_out])
    forces = np.concatenate([structures[i].get_forces() for i in held_out])
    error, length = (np.linalg.norm(vectors, axis=1).mean() for vectors in (found - forces, forces))
    print(f"held-out force error {error:.3f} eV/Å, mean |F| {length:.3f} eV/Å: {asked.out}")
