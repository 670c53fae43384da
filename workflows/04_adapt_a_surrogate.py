"""Adapt CHGNet to the labels of past relaxations, and relax another structure with it.

python workflows/04_adapt_a_surrogate.py [FOLDER_OF_RELAXATIONS …]

Without folders three copper surfaces are relaxed first, which takes seconds.
"""

import sys
from pathlib import Path

from jobflow import Flow, JobOrder, run_locally

from finetuna_flows import FineTuneMaker, OnlineRelaxMaker, ParentRelaxMaker
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.store import default_job_store
from finetuna_flows.structures.prepare import rattle
from finetuna_flows.structures.read import read_structure
from finetuna_flows.structures.slabs import build_slab
from finetuna_flows.surrogates.specs import SavedSpec

EXAMPLE = Path(__file__).parent / "structures" / "O_on_Cu111.extxyz"
PARENT = AseParentSpec("ase.calculators.emt:EMT")  # leave out below for the embedded DFT

if __name__ == "__main__":
    past = [
        ParentRelaxMaker(parent=PARENT, fmax=0.3).make(
            rattle(build_slab("Cu", n_layers=n, supercell=(2, 2), fixed_layers=1), 0.1, seed=n)
        )
        for n in ((2, 3, 4) if not sys.argv[1:] else ())
    ]
    folders = [*sys.argv[1:], *(job.output.dir_name for job in past)]
    adapt = FineTuneMaker(save_as="runs/adapted", overwrite=True).make(folders)
    relax = OnlineRelaxMaker(surrogate=SavedSpec("runs/adapted"), parent=PARENT, fmax=0.05).make(
        read_structure(EXAMPLE)
    )
    flow = Flow([*past, adapt, relax], order=JobOrder.LINEAR)
    responses = run_locally(flow, store=default_job_store(), create_folders=True)
    doc = responses[adapt.uuid][1].output
    print(f"held-out force error {doc.error_before:.3f} → {doc.error_after:.3f} eV/Å")
    for system in doc.systems:
        print(
            f"  {system.name}: {system.before:.3f} → {system.after:.3f}, {system.n_frames} labels"
        )
    relaxed = responses[relax.uuid][1].output
    print(f"{relaxed.formula_pretty}: {relaxed.parent_calls} parent calls with {doc.surrogate}")
