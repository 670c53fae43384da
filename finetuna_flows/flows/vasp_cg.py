"""VASP's own relaxation as a job: the baseline of the FINETUNA paper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from ase import Atoms
from jobflow import Maker
from monty.json import jsanitize
from pymatgen.core import Structure

from finetuna_flows.flows.job import relax_job
from finetuna_flows.parents.specs import InputSetGenerator, VaspParentSpec
from finetuna_flows.relaxation.run import check_threshold
from finetuna_flows.results.build import build_relaxation_doc
from finetuna_flows.results.documents import RelaxationDoc
from finetuna_flows.results.files import write_files
from finetuna_flows.structures.inferred import tell_inferred
from finetuna_flows.structures.read import read_structure, to_structure
from finetuna_flows.structures.validate import check_structure


@dataclass
class VaspCgMaker(Maker):
    """Relax with VASP's own optimizer, conjugate gradients as OC20 and the FINETUNA paper did.

    VASP runs under custodian as in atomate2's ``RelaxMaker``, in the directory of the job, and
    every ionic step of every try counts. ``INCAR`` there is in the end the one that custodian left,
    ``INCAR.orig`` the one it began with. NSW of the input set limits the ionic steps of a try.
    """

    name: str = "VASP CG"
    input_set_generator: InputSetGenerator = field(
        default_factory=lambda: VaspParentSpec().input_set_generator
    )
    """A generator of atomate2 or pymatgen, a dataclass as theirs are. The default is OC20's."""
    fmax: float = 0.03
    """eV/Å over the free atoms; becomes EDIFFG."""
    run_vasp_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of ``atomate2.vasp.run.run_vasp``, as in atomate2's Makers; ``vasp_cmd`` goes
    before the command of this machine (`parents.vasp.command`)."""
    write_input_set_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of ``atomate2.vasp.files.write_vasp_input_set``; ``{"potcar_spec": True}`` writes
    the names of POTCARs alone, which is the default for a stand-in in Python."""
    tags: tuple[str, ...] = ()
    """Words to find the document by."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, before anything is submitted."""
        VaspParentSpec(self.input_set_generator)
        check_threshold(self.fmax)
        self.generator()
        self.tags = tuple(self.tags)

    def generator(self) -> InputSetGenerator:
        """The input set generator with the threshold of the forces in it.

        Raises
        ------
        ValueError
            If the user's own EDIFFG says another.
        """
        settings = self.input_set_generator.user_incar_settings
        said = settings.get("EDIFFG")
        if said is not None and not math.isclose(float(said), -self.fmax):
            raise ValueError(
                f"EDIFFG is {said} in `user_incar_settings` but `fmax` is {self.fmax} eV/Å, which "
                f"makes it {-self.fmax}; leave EDIFFG out"
            )
        made: InputSetGenerator = replace(
            cast("Any", self.input_set_generator),
            user_incar_settings={**settings, "EDIFFG": -self.fmax},
        )
        return made

    def check(self, atoms: Atoms) -> None:
        """Refuse a structure or settings that VASP would not relax; nothing is started.

        Raises
        ------
        ValueError
            If the input set is not of a relaxation in a fixed cell (a StructureError: if the
            structure cannot be relaxed).
        ParentError
            If there is no command, or a POTCAR is missing.
        """
        from finetuna_flows.flows.vasp_try import check_relaxation

        check_structure(atoms)
        check_relaxation(
            to_structure(atoms), self.generator(), self.run_vasp_kwargs, self.write_input_set_kwargs
        )

    @relax_job
    def make(
        self, structure: Structure | Atoms, prev_dir: str | Path | None = None
    ) -> RelaxationDoc:
        """Make the job that relaxes `structure`.

        A finished run of the same inputs in the directory of the job, or in `prev_dir`, is
        imported instead of run again. An unfinished one in the directory of the job is put into an
        archive as custodian does, its ionic steps count, and VASP goes on from its last geometry.

        Parameters
        ----------
        structure
            With selective dynamics or constraints, and tags where it has an adsorbate.
        prev_dir
            Directory of an earlier try, perhaps at other settings; if it is not imported, VASP
            begins with its WAVECAR and CHGCAR, where there are such.
        """
        from finetuna_flows.flows.vasp_try import relax_with_vasp

        atoms = read_structure(structure)
        check_structure(atoms)
        tell_inferred(atoms)
        directory = Path.cwd()
        relaxation = relax_with_vasp(
            to_structure(atoms),
            like=atoms,
            generator=self.generator(),
            fmax=self.fmax,
            directory=directory,
            previous=None if prev_dir is None else Path(str(prev_dir).rpartition(":")[2]),
            run_vasp_kwargs=self.run_vasp_kwargs,
            write_input_set_kwargs=self.write_input_set_kwargs,
        )
        write_files(relaxation, directory, contcar=False)
        return build_relaxation_doc(
            relaxation,
            name=self.name,
            spec=jsanitize(self.as_dict(), strict=True),
            tags=self.tags,
            dir_name=str(directory),
        )
