"""One job, two processes: say which cores, threads and GPUs the learner and its parent have.

    python workflows/06_parent_in_its_own_process.py [STRUCTURE]

Every parent that would compute inside Python has a process of its own already. A `Placement` says
how that is started and what it may use. GPAW on 30 cores beside a learner on two and a GPU:

    parent=GpawParentSpec(cutoff=350),
    placement=Placement(
        launcher="mpirun -n 30",
        learner=Seat(cores="0-1", threads=2, gpus="0", device="cuda"),
        parent=Seat(cores="2-31", threads=1, gpus=""),
    ),

In a job of SLURM the launcher is "srun --overlap --exact -n 30 --gres=none": without `--overlap`
a step waits for the others to end, and without `--gres=none` it holds the GPU. VASP is started by
VASP_COMMAND instead: "srun --overlap --exact -u -n 30 --gres=none vasp_std".
"""

import os
import sys
from pathlib import Path

from finetuna_flows import OnlineRelaxMaker
from finetuna_flows.colocation.placement import Placement, Seat
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.store import default_job_store
from finetuna_flows.structures.read import read_structure
from finetuna_flows.surrogates.specs import NuclearSpec

EXAMPLE = Path(__file__).parent / "structures" / "O_on_Cu111.extxyz"
LAST_CORE = str(max(os.sched_getaffinity(0)))

if __name__ == "__main__":
    structure = read_structure(sys.argv[1] if len(sys.argv) > 1 else EXAMPLE)
    job = OnlineRelaxMaker(
        surrogate=NuclearSpec(),  # leave out for SevenNet
        parent=AseParentSpec("ase.calculators.emt:EMT"),  # leave out for the embedded DFT
        placement=Placement(process="own", parent=Seat(cores=LAST_CORE, threads=1)),
    ).make(structure)
    root = Path("runs/06_parent_in_its_own_process")
    for _, result in run_in_folders(job, default_job_store(), root):
        if isinstance(result, Exception):
            raise result
        doc = result.output
        print(f"{doc.formula_pretty}: {doc.energy:.4f} eV after {doc.parent_calls} parent calls")
        print(f"the parent's own files and words are in {root.absolute()}/*/parent")
