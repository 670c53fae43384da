"""Two jobs, side by side: a learner, and the parent that it asks.

    python workflows/07_twins.py [STRUCTURE]

Nothing orders the two, so that a queue can start each where it belongs; here they run on this
machine. They find each other by a note in FINETUNA_FLOWS_RENDEZVOUS_PATH. jobflow's `run_locally`
runs one job after the other and is refused. Run it again, and nothing is asked twice.
"""

import sys
from pathlib import Path

from finetuna_flows import ColocatedRelaxMaker, OnlineRelaxMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.service import ServiceDoc
from finetuna_flows.results.store import default_job_store
from finetuna_flows.structures.read import read_structure
from finetuna_flows.surrogates.specs import NuclearSpec

EXAMPLE = Path(__file__).parent / "structures" / "O_on_Cu111.extxyz"

if __name__ == "__main__":
    structure = read_structure(sys.argv[1] if len(sys.argv) > 1 else EXAMPLE)
    flow = ColocatedRelaxMaker(
        relax_maker=OnlineRelaxMaker(
            surrogate=NuclearSpec(),  # leave out for SevenNet
            parent=AseParentSpec("ase.calculators.emt:EMT"),  # or VaspParentSpec()
        )
    ).make(structure)
    for job, result in run_in_folders(flow, default_job_store(), Path("runs/07_twins")):
        if isinstance(result, Exception):
            raise SystemExit(f"{job.name}: {result}")
        doc = result.output
        if isinstance(doc, ServiceDoc):
            print(f"the parent sent {doc.parent_calls} labels, {doc.recalled_calls} known before")
        else:
            print(f"the learner made {doc.parent_calls} calls, {doc.replayed_calls} replayed")
