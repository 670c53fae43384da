"""Relax one structure online and look at what came out.

python workflows/01_relax_one.py [STRUCTURE]
"""

import sys
from pathlib import Path

from jobflow import run_locally

from finetuna_flows import OnlineRelaxMaker
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.store import default_job_store
from finetuna_flows.structures.read import read_structure, to_structure

EXAMPLE = Path(__file__).parent / "structures" / "O_on_Cu111.extxyz"

if __name__ == "__main__":
    structure = to_structure(read_structure(sys.argv[1] if len(sys.argv) > 1 else EXAMPLE))
    maker = OnlineRelaxMaker(
        parent=AseParentSpec("ase.calculators.emt:EMT"),  # leave out for the embedded DFT
        fmax=0.05,
        tags=("example",),
    )
    job = maker.make(structure)
    responses = run_locally(job, store=default_job_store(), create_folders=True)
    doc = responses[job.uuid][1].output
    print(f"{doc.formula_pretty}: {doc.energy:.4f} eV after {doc.parent_calls} parent calls")
    print(f"fmax {doc.fmax:.3f} eV/Å by {doc.level_of_theory}; {doc.integrity_sentence}")
