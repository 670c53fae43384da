"""Settings decide where torch runs and on how many threads."""

from __future__ import annotations

import pytest
import torch

from finetuna_flows.surrogates.device import limit_threads, torch_device


def test_the_processor_is_the_default() -> None:
    assert torch_device() == torch.device("cpu")


def test_threads_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for threads in (2, 1):
        monkeypatch.setenv("FINETUNA_FLOWS_THREADS", str(threads))
        limit_threads()
        assert torch.get_num_threads() == threads


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNA_FLOWS_DEVICE", "cuda:1")
    with pytest.raises(ValueError, match="`device` is 'cuda:1' but torch finds no CUDA device"):
        torch_device()
