"""Powerups that reach the input set of a VASP parent."""

from __future__ import annotations

from typing import Any

import pytest
from jobflow import Flow, Job, Maker

from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.flows.compare import CompareMaker
from finetuna_flows.flows.powerups import (
    update_user_incar_settings,
    update_user_kpoints_settings,
    update_user_potcar_settings,
)
from finetuna_flows.flows.relax import OnlineRelaxMaker
from finetuna_flows.flows.vasp_cg import VaspCgMaker
from finetuna_flows.parents.specs import AseParentSpec, VaspParentSpec
from tests.systems import oxygen_on_copper

VASP = VaspParentSpec()


def input_set(maker: Maker | None) -> Any:
    return getattr(getattr(maker, "parent", maker), "input_set_generator", None)


@pytest.mark.filterwarnings("ignore:Overriding POTCARs")
def test_every_job_that_asks_vasp_is_reached() -> None:
    makers = (
        OnlineRelaxMaker(parent=VASP),
        ParentRelaxMaker(parent=VASP),
        VaspCgMaker(),
        ParentRelaxMaker(name="other", parent=AseParentSpec()),
    )
    flow = CompareMaker(makers=makers).make(oxygen_on_copper())
    assert isinstance(flow, Flow)
    update_user_incar_settings(flow, {"ENCUT": 500, "ISPIN": 2})
    update_user_kpoints_settings(flow, {"reciprocal_density": 200})
    update_user_potcar_settings(flow, {"Cu": "Cu_pv"})
    online, on_parent, cg, other = (job.maker for job in flow.jobs[:4] if isinstance(job, Job))
    for maker in (online, on_parent, cg):
        made = input_set(maker)
        assert made.user_incar_settings == {"ENCUT": 500, "ISPIN": 2}
        assert made.user_kpoints_settings == {"reciprocal_density": 200}
        assert made.user_potcar_settings == {"Cu": "Cu_pv"}
    assert other == makers[3]
    assert input_set(OnlineRelaxMaker(parent=VASP)).user_incar_settings == {}


def test_a_flow_without_vasp_is_refused() -> None:
    job = ParentRelaxMaker(parent=AseParentSpec()).make(oxygen_on_copper())
    with pytest.raises(ValueError, match="no job of it asks VASP"):
        update_user_incar_settings(job, {"ENCUT": 500})
