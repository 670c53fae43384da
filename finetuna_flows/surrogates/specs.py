"""The surrogates in a user's words; importing this costs no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path

from monty.json import MSONable

from finetuna_flows.calculators import absolute, content_key
from finetuna_flows.checks import check_integer, check_integers
from finetuna_flows.protocols import Spec, Surrogate, TrainableSurrogate
from finetuna_flows.settings import Settings
from finetuna_flows.surrogates.library import read_model

CHGNET_MODELS = ("0.3.0", "0.2.0", "r2scan")
SEVENNET_MODELS = (
    "7net-mf-0", "7net-0", "7net-0_22may2024", "7net-l3i5",  # in the package
    "7net-mf-ompa", "7net-omat", "7net-omni", "7net-omni-i8", "7net-omni-i12",
)  # fmt: skip


def cuda_devices() -> tuple[str, ...]:
    """Names of the GPUs that torch finds here."""
    from finetuna_flows.surrogates.device import cuda_devices as found

    return found()


@dataclass(frozen=True)
class CHGNetSpec(MSONable):
    """CHGNet with the weights that its package ships.

    Deng et al., Nature Machine Intelligence 5, 1031 (2023).
    """

    model: str = "0.3.0"
    """Name of the released weights: ``0.3.0``, ``0.2.0`` or ``r2scan``."""

    def __post_init__(self) -> None:
        if self.model not in CHGNET_MODELS:
            raise ValueError(
                f"`model` is {self.model!r} but CHGNet's package ships {', '.join(CHGNET_MODELS)}"
            )

    def build(self) -> Surrogate:
        """Load the weights onto the device that the settings name."""
        from finetuna_flows.surrogates.chgnet import CHGNetSurrogate

        return CHGNetSurrogate(self.model)


@dataclass(frozen=True)
class FairchemSpec(MSONable):
    """A model of fairchem-core (UMA, eSEN): a pretrained one by name, or a checkpoint file.

    Pretrained ones come from the Hugging Face hub, where most of them ask for a licence to be
    accepted. Merging of experts and compilation are off, so that the model can be trained.
    """

    model: str
    """A name that fairchem knows (``uma-s-1p2p1``), or the path of an inference checkpoint, with a
    folder or an ending; a file is remembered by its absolute path."""
    task: str
    """Data set whose level of theory is meant, as the model calls it: ``oc20`` for adsorbates on
    metals, ``omat`` for bulk, ``omol`` for molecules, ``odac``, ``omc``, ``oc25``."""
    charge: int = 0
    """Of the whole structure, in elementary charges; only ``omol`` depends on it."""
    spin: int | None = None
    """Multiplicity of the whole structure; only ``omol`` depends on it. None: fairchem's default,
    1 for ``omol`` and 0, which stands for unknown, for the others."""
    trust_checkpoint: bool = False
    """Whether a file may run code while it is loaded, as fairchem's own loader lets it."""

    def __post_init__(self) -> None:
        if not self.model or not self.task:
            raise ValueError(
                f"`model` is {self.model!r} and `task` is {self.task!r} but neither may be empty"
            )
        object.__setattr__(self, "model", _absolute(self.model))
        check_integers(self, "charge")
        if self.spin is not None:
            check_integers(self, "spin")
        if not -100 <= self.charge <= 100:
            raise ValueError(f"`charge` is {self.charge} but fairchem takes -100 to 100")
        if self.spin is not None and not 0 <= self.spin <= 100:
            raise ValueError(f"`spin` is {self.spin} but fairchem takes 0 to 100")

    def build(self) -> Surrogate:
        """Load the weights onto the device that the settings name."""
        from finetuna_flows.surrogates.fairchem_cached import build_fairchem

        spin = int(self.task == "omol") if self.spin is None else self.spin
        return build_fairchem(
            self.model,
            self.task,
            charge=self.charge,
            spin=spin,
            trust_checkpoint=self.trust_checkpoint,
        )

    def fingerprint(self) -> str | None:
        """SHA-256 of the checkpoint file; None for a name, which fairchem keeps to one file."""
        return _digest_of(self.model)


@dataclass(frozen=True)
class SevenNetSpec(MSONable):
    """SevenNet: the weights that its package ships, others by name, or a checkpoint file.

    Park, Kim, Hwang, Han, J. Chem. Theory Comput. 20, 4857 (2024). Its package ships ``7net-mf-0``,
    ``7net-0`` and ``7net-l3i5``, trained on relaxations of the Materials Project, the first at two
    levels of theory (Kim et al., J. Am. Chem. Soc. 147, 1042, 2025). Others are downloaded when
    they are first used; ``7net-omni`` with the modal ``oc20`` has the level of theory of OC20.
    """

    model: str = "7net-mf-0"
    """A name that SevenNet's package knows, or the path of a checkpoint, with a folder or an
    ending; a file is remembered by its absolute path."""
    modal: str | None = None
    """Level of theory that is meant, for models that were trained on several; ``PBE`` or ``R2SCAN``
    for the default model, where None becomes ``PBE``."""
    trust_checkpoint: bool = False
    """Whether a file may run code while it is loaded, as SevenNet's own loader lets it."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError(f"`model` is {self.model!r} but must be a name or a path")
        object.__setattr__(self, "model", _absolute(self.model))
        if not Path(self.model).is_absolute() and self.model not in SEVENNET_MODELS:
            raise ValueError(
                f"`model` is {self.model!r} but SevenNet's package knows "
                f"{', '.join(SEVENNET_MODELS)}; a checkpoint file has a / or an ending"
            )
        if self.modal is None and self.model == "7net-mf-0":
            object.__setattr__(self, "modal", "PBE")

    def build(self) -> Surrogate:
        """Load the weights onto the device that the settings name."""
        from finetuna_flows.surrogates.sevennet import SevenNetSurrogate

        return SevenNetSurrogate(self.model, self.modal, trust_checkpoint=self.trust_checkpoint)

    def fingerprint(self) -> str | None:
        """SHA-256 of the checkpoint file; None for a name."""
        return _digest_of(self.model)


@dataclass(frozen=True)
class ToySpec(MSONable):
    """A small trainable pair model with random weights, for documentation and tests."""

    seed: int = 0
    """Of the random weights."""
    cutoff: float = 5.0
    """Å; pairs farther apart do not interact."""

    def __post_init__(self) -> None:
        check_integers(self, "seed")
        if not self.cutoff > 0:
            raise ValueError(f"`cutoff` is {self.cutoff} but must be positive")

    def build(self) -> Surrogate:
        """Draw the weights."""
        from finetuna_flows.surrogates.toy import ToySurrogate

        return ToySurrogate(seed=self.seed, cutoff=self.cutoff)


@dataclass(frozen=True)
class NuclearSpec(MSONable):
    """The repulsion of nuclei alone, for systems whose elements no network knows.

    With the pair potential and the process of ResidualGPSpec on top it learns all from labels.
    """

    def build(self) -> Surrogate:
        """Make it; there is nothing to load."""
        from finetuna_flows.surrogates.nuclear import NuclearSurrogate

        return NuclearSurrogate()


@dataclass(frozen=True)
class AseSurrogateSpec(MSONable):
    """Any ASE calculator as a fixed prior."""

    calculator: str
    """``MODULE:CALLABLE`` or ``FILE.py:CALLABLE``; a file is remembered by its absolute path."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """Passed to the callable by name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "calculator", absolute(self.calculator))
        object.__setattr__(self, "arguments", dict(self.arguments))

    def build(self) -> Surrogate:
        """Call it."""
        from finetuna_flows.surrogates.ase_prior import AseSurrogate

        return AseSurrogate(self.calculator, self.arguments)

    def fingerprint(self) -> str | None:
        """The beginning of the SHA-256 of the file; None for a module."""
        return content_key(self.calculator) or None


@dataclass(frozen=True)
class SavedSpec(MSONable):
    """A surrogate with weights that were adapted and saved."""

    name: str
    """A name under the setting `models_path`, or the path of a folder (with a ``/`` in it), which
    is remembered as an absolute one."""

    def __post_init__(self) -> None:
        if "/" in self.name:
            object.__setattr__(self, "name", str(Path(self.name).expanduser().resolve()))
        elif not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ValueError(
                f"`name` is {self.name!r} but must be letters, digits, dots, dashes and "
                "underscores, or a path with a / in it"
            )

    @property
    def folder(self) -> Path:
        """Where it is on this machine."""
        return Settings().models_path.expanduser() / self.name  # an absolute path stays itself

    def build(self) -> Surrogate:
        """Build the surrogate that it was made from and load the weights into it."""
        from finetuna_flows.surrogates.saved import load_surrogate

        return load_surrogate(self.folder)

    def fingerprint(self) -> str:
        """SHA-256 of what it is made from and of the weights, as the folder has it on record.

        Raises
        ------
        SurrogateError
            If there is no such folder, or its record is damaged.
        """
        record = read_model(self.folder)
        made = [record[key] for key in ("base", "base_sha256", "weights_sha256")]
        return sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()

    def write(
        self,
        base: Spec[Surrogate],
        surrogate: TrainableSurrogate,
        provenance: Mapping[str, object],
        *,
        overwrite: bool = False,
    ) -> None:
        """Call `saved.save_surrogate`, which says what happens."""
        from finetuna_flows.surrogates.saved import save_surrogate

        save_surrogate(self.folder, base, surrogate, provenance, overwrite=overwrite)


@dataclass(frozen=True)
class PerturbedHeadSpec(MSONable):
    """A trainable surrogate with noise on its output head: one member of an ensemble."""

    surrogate: Spec[Surrogate]
    seed: int = 0
    """Of the noise."""
    scale: float = 0.05
    """Of the noise, in units of each weight tensor's root mean square. With four such heads of
    CHGNet on 16 DFT labels published with FINETUNA, 2026-11, 0.05 gives a spread of 0.11 eV/Å
    where CHGNet errs by 0.24 and the members' mean by 0.30; 0.1 gives 1.8 and ruins the mean."""

    def __post_init__(self) -> None:
        check_integers(self, "seed")
        if not self.scale > 0:
            raise ValueError(f"`scale` is {self.scale} but must be positive")

    def build(self) -> Surrogate:
        """Build the surrogate and perturb its head."""
        from finetuna_flows.surrogates.ensemble import perturb_head

        surrogate = self.surrogate.build()
        perturb_head(surrogate, scale=self.scale, seed=self.seed)
        return surrogate


@dataclass(frozen=True)
class EnsembleSpec(MSONable):
    """Several surrogates as one, whose disagreement is its uncertainty.

    A GradientSpec reaches its members through an EnsembleTunerSpec.
    """

    members: tuple[Spec[Surrogate], ...]
    """Of any kind: other models, other seeds, or the same model to be tuned in different ways."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(self.members))
        if len(self.members) < 2:
            raise ValueError(
                f"`members` holds {len(self.members)} surrogate(s) but a spread needs at least 2"
            )

    @classmethod
    def of_heads(
        cls, surrogate: Spec[Surrogate], count: int = 4, scale: float | None = None
    ) -> EnsembleSpec:
        """Make an ensemble of one pretrained model with `count` different output heads.

        They differ by noise of `scale`, see `PerturbedHeadSpec`. None: 1.0 for SevenNet, whose
        head is linear (tuned on one EMT label, O on Cu, four heads err by 0.13 eV/Å at the next
        with a spread of 0.06 eV/Å; 0.02 with a scale of 0.3), and 0.05 for others.

        Heads on the same features are too much of one mind: tuned by the paper's recipe, four of
        CHGNet err by 2.0 of their standard deviations (rms; 14 queries from two systems published
        with FINETUNA, 2026-11; ``benchmarks/calibration.py``), though their spread ranks the
        errors (0.96). A ResidualGPSpec errs by 0.9 of its own there.
        """
        check_integer("count", count)
        if scale is None:
            scale = 1.0 if isinstance(surrogate, SevenNetSpec) else PerturbedHeadSpec.scale
        return cls(tuple(PerturbedHeadSpec(surrogate, seed, scale) for seed in range(count)))

    def build(self) -> Surrogate:
        """Build every member."""
        from finetuna_flows.surrogates.ensemble import EnsembleSurrogate

        return EnsembleSurrogate([member.build() for member in self.members])


def _absolute(model: str) -> str:
    """A model's name as it is, and a path whole."""
    is_path = "/" in model or Path(model).suffix
    return str(Path(model).expanduser().resolve()) if is_path else model


def _digest_of(model: str) -> str | None:
    if not Path(model).is_absolute():
        return None
    with Path(model).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
