"""atomate2's powerups for Makers that ask VASP: its own reach VASP's Makers alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobflow import Flow, Job

from finetuna_flows.colocation.specs import TwinParentSpec
from finetuna_flows.flows.twins import jobs_of
from finetuna_flows.flows.vasp_cg import VaspCgMaker
from finetuna_flows.parents.specs import VaspParentSpec


def update_user_incar_settings(flow: Job | Flow, incar_updates: Mapping[str, Any]) -> Job | Flow:
    """Set INCAR tags of all VASP parents and VASP relaxations in a job or flow, in place.

    Raises
    ------
    ValueError
        If nothing in it asks VASP.
    """
    return _update(flow, "user_incar_settings", incar_updates)


def update_user_kpoints_settings(
    flow: Job | Flow, kpoints_updates: Mapping[str, Any]
) -> Job | Flow:
    """The same for k-points, as in ``{"reciprocal_density": 200}``."""
    return _update(flow, "user_kpoints_settings", kpoints_updates)


def update_user_potcar_settings(flow: Job | Flow, potcar_updates: Mapping[str, str]) -> Job | Flow:
    """The same for POTCARs, as in ``{"Cu": "Cu_pv"}``."""
    return _update(flow, "user_potcar_settings", potcar_updates)


def _update(flow: Job | Flow, name: str, updates: Mapping[str, Any]) -> Job | Flow:
    reached = 0
    for job in jobs_of(flow):
        place = _place(job.maker)
        if place is not None:
            keys = {f"{place}->{name}->{key}": value for key, value in updates.items()}
            job.update_maker_kwargs({"_set": keys}, dict_mod=True)
            reached += 1
    if not reached:
        raise ValueError("no job of it asks VASP; powerups of VASP change nothing there")
    return flow


def _place(maker: object) -> str | None:
    """Where a Maker has its input set; None if it asks something else than VASP."""
    if isinstance(maker, VaspCgMaker):
        return "input_set_generator"
    parent = getattr(maker, "parent", None)
    if isinstance(parent, VaspParentSpec):
        return "parent->input_set_generator"
    if isinstance(parent, TwinParentSpec) and isinstance(parent.parent, VaspParentSpec):
        return "parent->parent->input_set_generator"
    return None
