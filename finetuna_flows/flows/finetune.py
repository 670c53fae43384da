"""Adapting a surrogate to the labels of past relaxations, as a job."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from jobflow import Job, Maker, job
from monty.json import jsanitize
from threadpoolctl import threadpool_limits

from finetuna_flows.finetuning.dataset import collect_frames
from finetuna_flows.finetuning.recipe import CHECKPOINT, AdaptRecipe
from finetuna_flows.flows.job import check_specs, continue_from
from finetuna_flows.protocols import Spec, Surrogate
from finetuna_flows.records import Frame, Label
from finetuna_flows.results.adaptation import FineTuneDoc
from finetuna_flows.results.build import build_finetune_doc
from finetuna_flows.settings import Settings
from finetuna_flows.structures.read import read_structure, to_portable
from finetuna_flows.surrogates.library import check_base, check_free
from finetuna_flows.surrogates.specs import CHGNetSpec, SavedSpec

logger = logging.getLogger(__name__)

Source = str | Path | Frame


def finetune_job(method: Callable[..., FineTuneDoc]) -> Callable[..., Job]:
    """Turn a Maker's `make` into one that returns a Job; frames are made storable on the way."""
    make_job = job(method, output_schema=FineTuneDoc)

    @wraps(method)
    def make(
        maker: Maker, sources: Sequence[Source] | str | Path, prev_dir: str | Path | None = None
    ) -> Job:
        listed = [sources] if isinstance(sources, str | Path) else list(sources)
        portable = [_portable(each) for each in listed]
        made: Job = make_job(maker, portable, prev_dir=prev_dir)
        return made

    make.original = method  # type: ignore[attr-defined]  # by this jobflow knows the Maker
    return make


@dataclass
class FineTuneMaker(Maker):
    """Adapt a surrogate to labels of many systems and save it for use by name."""

    name: str = "fine-tune"
    save_as: str = "adapted"
    """Name under the setting `models_path`, or a path with a ``/`` in it."""
    surrogate: Spec[Surrogate] = field(default_factory=CHGNetSpec)
    """What is adapted; a `SavedSpec` is tuned further."""
    recipe: AdaptRecipe = field(default_factory=AdaptRecipe)
    """How."""
    overwrite: bool = False
    """Whether a surrogate that is saved under the same name may be replaced."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, before anything is submitted."""
        check_specs(self, "surrogate")
        self.save_as = SavedSpec(self.save_as).name

    @finetune_job
    def make(
        self, sources: Sequence[Source] | str | Path, prev_dir: str | Path | None = None
    ) -> FineTuneDoc:
        """Make the job.

        Parameters
        ----------
        sources
            Files with labelled frames, folders of relaxations (such as ``job.output.dir_name``;
            every ``labels.extxyz`` below is read), or frames. At least two systems in all.
        prev_dir
            Directory of an earlier try whose finished epochs are taken over.
        """
        directory = Path.cwd()
        if prev_dir is not None:
            continue_from(prev_dir, directory, CHECKPOINT)
        listed = [sources] if isinstance(sources, str | Path) else sources
        return finetune_and_save(self, load_frames(listed), directory)


def finetune_and_save(
    maker: FineTuneMaker, frames: Sequence[Frame], directory: Path
) -> FineTuneDoc:
    """Train with checkpoints in `directory`, save, and document.

    Raises
    ------
    ValueError
        If the name is taken, the surrogate is none that can be saved, or the frames are of one
        system; before any work.
    FineTuningError
        If the training went astray; what was saved before stays as it is.
    """
    target = SavedSpec(maker.save_as)
    check_free(target.folder, overwrite=maker.overwrite)
    spec: dict[str, Any] = jsanitize(maker.as_dict(), strict=True)
    check_base(spec["surrogate"])
    start = time.perf_counter()
    with threadpool_limits(Settings().threads):
        adapted = maker.recipe.apply(frames, maker.surrogate, directory)
    doc = build_finetune_doc(
        adapted.report,
        name=maker.name,
        surrogate=maker.save_as,
        folder=target.folder,
        spec=spec,
        wall_time=time.perf_counter() - start,
    )
    provenance = doc.model_dump(mode="json", exclude={"folder"})
    target.write(maker.surrogate, adapted.surrogate, provenance, overwrite=maker.overwrite)
    logger.info("saved %s in %s", maker.save_as, target.folder)
    return doc


def load_frames(sources: Iterable[Any]) -> list[Frame]:
    """Frames of files, folders and of what a job was handed in the place of frames."""
    frames: list[Frame] = []
    for source in sources:
        if isinstance(source, dict):
            label = {key: source[key] for key in ("energy", "free_energy")}
            forces = np.array(source["forces"], dtype=np.float64)
            frames.append(Frame(read_structure(source["structure"]), Label(forces=forces, **label)))
        else:
            frames += collect_frames([source])
    return frames


def _portable(source: object) -> object:
    if not isinstance(source, Frame):
        return str(source) if isinstance(source, Path) else source
    label = source.label
    return {
        "structure": to_portable(source.atoms),
        "energy": label.energy,
        "free_energy": label.free_energy,
        "forces": label.forces.tolist(),
    }
