#!/usr/bin/env bash
# fairchem-core 2.24.0 (PyPI) with torch 2.13.0, on the CPU.
#
# A HydraModel may have several heads on one backbone. With two of MLP_EFS_Head, whose forces are
# gradients of their energies, it cannot be evaluated: HydraModel.forward runs every head whatever
# task is asked for, the first head's torch.autograd.grad frees the graph of the backbone, and the
# second one raises "Trying to backward through the graph a second time". With one such head it
# answers; with the heads in training mode, where they keep the graph, both do.
#
# Seen: one head: answers. two heads, eval(): RuntimeError. two heads, heads.train(): answers.
# Exits with 1 if one of the three is different.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fairchem-core==2.24.0 ase==3.29.0

cat > "$folder/heads.py" <<'PYTHON'
import sys
import warnings

warnings.simplefilter("ignore")
import torch
from ase.build import molecule
from fairchem.core.datasets.atomic_data import AtomicData
from fairchem.core.models.base import HydraModel

UMA = "fairchem.core.models.uma.escn_md"
BACKBONE = {
    "model": f"{UMA}.eSCNMDBackbone",
    "sphere_channels": 8,
    "hidden_channels": 8,
    "edge_channels": 8,
    "num_layers": 1,
    "lmax": 1,
    "mmax": 1,
    "num_distance_basis": 8,
    "cutoff": 5.0,
    "otf_graph": True,
    "always_use_pbc": False,
    "direct_forces": False,
    "chg_spin_emb_type": "rand_emb",
    "dataset_mapping": {"omol": "omol", "omat": "omat"},
}


def outcome(tasks, train):
    heads = {f"{task}_head": {"module": f"{UMA}.MLP_EFS_Head", "prefix": task} for task in tasks}
    torch.manual_seed(0)
    model = HydraModel(backbone=BACKBONE, heads=heads, pass_through_head_outputs=True).eval()
    if train:
        model.output_heads.train()
    water = molecule("H2O")
    water.info = {"charge": 0, "spin": 1}
    data = AtomicData.from_ase(water, task_name="omol", r_data_keys=["spin", "charge"])
    try:
        forces = model(data)["omol_forces"]["forces"]
    except RuntimeError as error:
        return "raises" if "a second time" in str(error) else f"raises another error: {error}"
    return "answers" if forces.shape == (3, 3) else "answers something else"


seen = [
    outcome(["omol"], train=False),
    outcome(["omol", "omat"], train=False),
    outcome(["omol", "omat"], train=True),
]
print("one head: {}; two heads: {}; two heads in training mode: {}".format(*seen))
sys.exit(seen != ["answers", "raises", "answers"])
PYTHON
"$folder/venv/bin/python" "$folder/heads.py"
