"""Submit a learner and its parent to FireWorks, as two fireworks of different categories.

    python workflows/09_submit_to_fireworks.py [MY_LAUNCHPAD.yaml [STRUCTURE]]

Then, once for each, with files of `config/` edited, on a login node of SLURM

    qlaunch -r -l my_launchpad.yaml -w my_fworker_gpu.yaml -q my_qadapter_gpu.yaml rapidfire
    qlaunch -r -l my_launchpad.yaml -w my_fworker_cpu.yaml -q my_qadapter_cpu.yaml rapidfire

or, where no queue is, both at the same time:

    rlaunch -l my_launchpad.yaml -w my_fworker_gpu.yaml rapidfire
    rlaunch -l my_launchpad.yaml -w my_fworker_cpu.yaml rapidfire

One worker that pulls one after the other waits in vain, for an hour. Beside `"_category"`,
`"_queueadapter": {"ntasks": 64}` sets resources of one job, and `"_launch_dir": "/scratch/one"`,
another for each, is where it runs; only there `lpad rerun_fws` goes on with the labels so far.
"""

import sys
from pathlib import Path

from fireworks import LaunchPad
from jobflow.managers.fireworks import flow_to_workflow

from finetuna_flows import ColocatedRelaxMaker, OnlineRelaxMaker
from finetuna_flows.flows.store_rendezvous import StoreRendezvous
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.structures.read import read_structure
from finetuna_flows.surrogates.specs import NuclearSpec

EXAMPLE = Path(__file__).parent / "structures" / "O_on_Cu111.extxyz"

if __name__ == "__main__":
    structure = read_structure(sys.argv[2] if len(sys.argv) > 2 else EXAMPLE)
    launchpad = LaunchPad.from_file(sys.argv[1]) if len(sys.argv) > 1 else LaunchPad.auto_load()
    flow = ColocatedRelaxMaker(
        relax_maker=OnlineRelaxMaker(
            surrogate=NuclearSpec(),  # leave out for SevenNet
            parent=AseParentSpec("ase.calculators.emt:EMT"),  # or VaspParentSpec()
        ),
        rendezvous=StoreRendezvous(),  # leave out to meet in a folder that both see
        learner_config={"_category": "gpu"},
        parent_config={"_category": "cpu"},
    ).make(structure)
    numbers = launchpad.add_wf(flow_to_workflow(flow))
    print(f"submitted as {' and '.join(map(str, numbers.values()))}")
