"""Compare two ways of learning with BFGS, all on the same parent.

python workflows/02_compare_methods.py [STRUCTURE]
"""

import sys
from pathlib import Path

from jobflow import Response

from finetuna_flows import CompareMaker, OnlineRelaxMaker, ParentRelaxMaker
from finetuna_flows.finetuning.specs import GradientSpec, ResidualGPSpec
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.store import default_job_store
from finetuna_flows.structures.read import read_structure, to_structure
from finetuna_flows.surrogates.specs import ToySpec

EXAMPLE = Path(__file__).parent / "structures" / "O_on_Cu111.extxyz"
PARENT = AseParentSpec("ase.calculators.emt:EMT")

if __name__ == "__main__":
    structure = to_structure(read_structure(sys.argv[1] if len(sys.argv) > 1 else EXAMPLE))
    toy = ToySpec()
    flow = CompareMaker(
        makers=(
            OnlineRelaxMaker(name="process", surrogate=toy, tuner=ResidualGPSpec(), parent=PARENT),
            OnlineRelaxMaker(name="gradient", surrogate=toy, tuner=GradientSpec(), parent=PARENT),
            ParentRelaxMaker(name="BFGS", parent=PARENT),
        ),
        reference="BFGS",
    ).make(structure)
    for job, result in run_in_folders(flow, default_job_store(), Path("runs/02_compare_methods")):
        doc = result.output if isinstance(result, Response) else None
        if isinstance(doc, ComparisonDoc):
            for row in doc.rows:
                print(
                    f"{row.method:>9}: {row.parent_calls} calls, same minimum: {row.same_minimum}"
                )
        else:
            print(f"{job.name} ended")
