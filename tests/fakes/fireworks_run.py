"""Submit a comparison to FireWorks and run it in this process: `fireworks_run.py DIRECTORY`.

FireWorks' own test mode stands in for MongoDB (MONGOMOCK_SERVERSTORE_FILE in the environment). It
shows that the flow crosses FireWorks whole; of MongoDB's concurrency it shows nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire
from jobflow.managers.fireworks import flow_to_workflow

from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.flows.compare import CompareMaker
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.store import local_job_store
from finetuna_flows.structures.convert import to_structure
from finetuna_flows.surrogates.specs import AseSurrogateSpec
from tests.systems import EMT, MORSE, MORSE_ARGUMENTS, oxygen_on_copper

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    os.chdir(directory)
    parent = AseParentSpec(EMT)
    online = OnlineRelaxMaker(surrogate=AseSurrogateSpec(MORSE, MORSE_ARGUMENTS), parent=parent)
    maker = CompareMaker(makers=(online, ParentRelaxMaker(name="BFGS", parent=parent)))
    flow = maker.make(to_structure(oxygen_on_copper()))
    launchpad = LaunchPad(strm_lvl="ERROR")
    launchpad.reset("", require_password=False)
    launchpad.add_wf(flow_to_workflow(flow, store=local_job_store(directory / "store")))
    rapidfire(launchpad, FWorker(), strm_lvl="ERROR")
    states = [launchpad.get_fw_by_id(number).state for number in launchpad.get_fw_ids()]
    sys.exit(states != ["COMPLETED"] * 3)
