"""Compare the online relaxation with VASP's own conjugate gradients, call by call.

    export VASP_COMMAND="mpirun -n 16 vasp_std"
    python workflows/05_compare_with_vasp_cg.py [STRUCTURE]

Without a licence, the stand-in shows every file and number but the physics; without POTCARs:

    export VASP_COMMAND="python $PWD/tests/fakes/vasp.py"

Both use OC20's settings; `VaspParentSpec(spin)` and `VaspCgMaker(input_set_generator=spin)` take
your own, as in `spin = OC20SetGenerator(user_incar_settings={"ISPIN": 2})`.
"""

import sys
from pathlib import Path

from jobflow import Response

from finetuna_flows import CompareMaker, OnlineRelaxMaker, VaspCgMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.parents.specs import VaspParentSpec
from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.store import default_job_store
from finetuna_flows.structures.read import read_structure
from finetuna_flows.surrogates.specs import NuclearSpec

EXAMPLE = Path(__file__).parent / "structures" / "O_on_Cu111.extxyz"

if __name__ == "__main__":
    structure = read_structure(sys.argv[1] if len(sys.argv) > 1 else EXAMPLE)
    flow = CompareMaker(
        makers=(
            OnlineRelaxMaker(
                name="online",
                surrogate=NuclearSpec(),  # leave out for SevenNet
                parent=VaspParentSpec(),
            ),
            VaspCgMaker(name="VASP CG"),
        ),
        reference="VASP CG",
    ).make(structure)
    root = Path("runs/05_compare_with_vasp_cg")
    for job, result in run_in_folders(flow, default_job_store(), root):
        doc = result.output if isinstance(result, Response) else None
        if doc is None:
            raise SystemExit(f"{job.name}: {result}")
        for row in doc.rows if isinstance(doc, ComparisonDoc) else ():
            print(
                f"{row.method:>8}: {row.parent_calls} calls, {row.scf_cycles} SCF cycles, "
                f"same minimum: {row.same_minimum}"
            )
