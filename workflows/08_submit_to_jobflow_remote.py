"""Submit a learner and its parent to two workers of jobflow-remote.

    python workflows/08_submit_to_jobflow_remote.py [STRUCTURE]
    jf runner start
    jf job list

The project is `config/jobflow_remote_project.yaml`, edited and put into ~/.jfremote. Both workers
must see FINETUNA_FLOWS_RENDEZVOUS_PATH; on two nodes, set FINETUNA_FLOWS_INTERFACE (as `ib0`) for
the learner's. After a failure `jf job rerun --no-delete` of both goes on where they were; without
`--no-delete` the folders go, and the labels in them.
"""

import sys
from pathlib import Path

from finetuna_flows import ColocatedRelaxMaker, OnlineRelaxMaker
from finetuna_flows.flows.submission import submit_remote
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.structures.read import read_structure
from finetuna_flows.surrogates.specs import NuclearSpec

EXAMPLE = Path(__file__).parent / "structures" / "O_on_Cu111.extxyz"
# Where not empty, in place of all that the worker says, as in
# {"partition": "long", "nodes": 2, "ntasks": 64, "time": "48:00:00"}
LEARNER_RESOURCES: dict[str, object] = {}
PARENT_RESOURCES: dict[str, object] = {}

if __name__ == "__main__":
    structure = read_structure(sys.argv[1] if len(sys.argv) > 1 else EXAMPLE)
    flow = ColocatedRelaxMaker(
        relax_maker=OnlineRelaxMaker(
            surrogate=NuclearSpec(),  # leave out for SevenNet
            parent=AseParentSpec("ase.calculators.emt:EMT"),  # or VaspParentSpec()
        ),
        learner_config={"worker": "gpu", "resources": LEARNER_RESOURCES},
        parent_config={"worker": "cpu", "resources": PARENT_RESOURCES},
    ).make(structure)
    numbers = submit_remote(flow)  # refuses workers on which the two could never run at once
    print(f"submitted as {' and '.join(numbers)}")
