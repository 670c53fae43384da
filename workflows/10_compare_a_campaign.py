"""Relax several structures by two methods, and compare the methods over all of them.

python workflows/10_compare_a_campaign.py [STRUCTURE…]
"""

import sys
from pathlib import Path

from ase import Atoms
from ase.build import fcc111

from finetuna_flows import OnlineRelaxMaker, ParentRelaxMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.report.measured import measured
from finetuna_flows.results.report.write import stored_relaxations, write_report
from finetuna_flows.results.store import default_job_store
from finetuna_flows.results.study import comparisons
from finetuna_flows.results.tables.render import StudyTables
from finetuna_flows.results.tables.study import study_of
from finetuna_flows.structures.adsorbates import add_adsorbate
from finetuna_flows.structures.prepare import fix_bottom_layers, tag_atoms
from finetuna_flows.structures.read import read_structure
from finetuna_flows.surrogates.specs import NuclearSpec

PARENT = AseParentSpec("ase.calculators.emt:EMT")
MAKERS = (
    OnlineRelaxMaker(name="no network", surrogate=NuclearSpec(), parent=PARENT),
    ParentRelaxMaker(name="BFGS", parent=PARENT),
)


def oxygen_on(metal: str) -> Atoms:
    slab = tag_atoms(fix_bottom_layers(fcc111(metal, (2, 2, 3), vacuum=7.0), 2), [])
    covered = add_adsorbate(slab, "O", "fcc")
    covered.rattle(0.05, seed=1)
    covered.info["system"] = f"O on {metal}(111)"
    return covered


if __name__ == "__main__":
    store = default_job_store()
    given = [read_structure(path) for path in sys.argv[1:]]
    for slab in given or map(oxygen_on, ("Cu", "Ni", "Pt")):
        name = slab.info.setdefault("system", str(slab.symbols))
        for maker in MAKERS:
            for job, _ in run_in_folders(maker.make(slab), store, Path("runs/10") / name):
                print(f"{name}: {job.name} ended")
    study = study_of(comparisons(store, "BFGS"))
    print(StudyTables(study).markdown)
    found = measured(store, "BFGS")
    write_report(stored_relaxations(store), found, Path("report.html"), title="O on fcc(111)")
