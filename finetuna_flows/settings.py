"""Facts about this machine; science lives in specs and Maker fields.

Each field is read from the environment (``FINETUNA_FLOWS_STORE_PATH=…``) or from
``~/.finetuna_flows.yaml`` (another file: ``FINETUNA_FLOWS_CONFIG_FILE``). Keys that are not
fields are errors.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path
from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

PREFIX = "FINETUNA_FLOWS_"


def config_file() -> Path:
    """Where the yaml file with settings is looked for."""
    return Path(os.environ.get(f"{PREFIX}CONFIG_FILE", "~/.finetuna_flows.yaml")).expanduser()


class Settings(BaseSettings):
    """Where things are on this machine."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    store_path: Path = Field(default_factory=lambda: user_data_path("finetuna_flows") / "store")
    """Folder of the local results store, used when jobflow has no store configured."""

    models_path: Path = Field(default_factory=lambda: user_data_path("finetuna_flows") / "models")
    """Folder of the surrogates that were adapted and saved by name."""

    device: str = "cpu"
    """Where torch surrogates run: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` for a GPU where torch
    finds one, else the CPU."""

    threads: int = Field(default=1, ge=1)
    """Threads of torch and of the linear algebra in one process."""

    parent_process: Literal["own", "same"] = "own"
    """Whether a parent gets a process of its own, or shares the learner's; parents that start
    programs themselves, such as VASP's drivers, share it unless a `Placement` says otherwise."""

    socket_path: Path = Path("/tmp")  # noqa: S108 - what is made there is private
    """Folder in which private folders with UNIX sockets are made. Engines that speak i-PI look
    below ``/tmp`` alone."""

    interface: str | None = None
    """Interface on which a learner listens for a parent on another machine: ``ib0``, or an address
    or name of this machine. None: only UNIX sockets, on one machine."""

    rendezvous_path: Path = Path("~/.finetuna_flows/rendezvous")
    """Folder in which twin jobs find each other; both must see it."""

    vasp_command: str | None = None
    """How VASP is started: ``mpirun -n 16 vasp_std``. None: as ``VASP_COMMAND`` or
    ``ASE_VASP_COMMAND`` in the environment say."""

    vasp_silence: float = Field(default=3600.0, gt=0)
    """Seconds without a word from VASP after which it counts as hung."""

    vasp_pause: Literal["auto", "yes", "no"] = "auto"
    """Whether the ranks of a kept VASP are stopped between labels: ``yes`` makes it an error where
    that cannot be verified, ``auto`` a warning."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments first, then the environment, then the yaml file."""
        yaml = YamlConfigSettingsSource(settings_cls, yaml_file=config_file())
        return init_settings, env_settings, yaml
