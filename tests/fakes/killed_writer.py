"""Relaxes O on copper by EMT into a local store: ``killed_writer.py STORE FOLDER [kill]``.

With ``kill`` the process is killed between a document and its trajectory, as jobflow writes them.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from jobflow import JobStore

from finetuna_flows.flows.baselines import ParentRelaxMaker
from finetuna_flows.flows.local import run_in_folders
from finetuna_flows.parents.specs import AseParentSpec
from finetuna_flows.results.sqlite.store import LocalStore
from finetuna_flows.results.store import FILE_NAME, check_store, local_job_store
from tests.systems import EMT, oxygen_on_copper


class KillingStore(LocalStore):
    """Kills its process instead of writing."""

    def update(self, *_: Any, **__: Any) -> None:
        """Die without a word."""
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    path, folder = Path(sys.argv[1]), Path(sys.argv[2])
    store = local_job_store(path)
    if sys.argv[3:] == ["kill"]:
        file = path / FILE_NAME
        data = KillingStore(file, "outputs_blobs", key="blob_uuid")
        store = JobStore(store.docs_store, additional_stores={"data": data})
    check_store(store)
    job = ParentRelaxMaker(name="BFGS", parent=AseParentSpec(EMT), tags=("killed",)).make(
        oxygen_on_copper()
    )
    for _, result in run_in_folders(job, store, folder):
        if isinstance(result, Exception):
            raise result
