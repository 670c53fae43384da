"""Where torch runs, as the settings of this machine say."""

from __future__ import annotations

import torch

from finetuna_flows.settings import Settings


def limit_threads() -> None:
    """Hold torch to the threads that the settings allow: small models only lose by more."""
    torch.set_num_threads(Settings().threads)


def torch_device() -> torch.device:
    """Return the device that the settings name.

    Raises
    ------
    ValueError
        If they name a CUDA device and torch finds none.
    """
    name = Settings().device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"the setting `device` is {str(device)!r} but torch finds no CUDA device; "
            "set FINETUNA_FLOWS_DEVICE=cpu, or auto to take what there is"
        )
    return device


def cuda_devices() -> tuple[str, ...]:
    """Names of the GPUs that torch finds, in its order."""
    return tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
