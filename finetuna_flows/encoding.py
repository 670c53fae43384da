"""Steps and labels as plain JSON values and back, to the last bit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from finetuna_flows.geometry import Array
from finetuna_flows.reasons import QueryReason
from finetuna_flows.records import Decision, Label, Prediction, Step

T = TypeVar("T", Prediction, Label)


def encode_step(step: Step) -> dict[str, object]:
    """Turn a step into JSON values; what was learned is left out, since it is learned again."""
    encoded = asdict(step, dict_factory=_plain)
    encoded["reasons"] = [str(reason) for reason in step.decision.reasons]
    for name in ("decision", "fit", "replayed"):
        del encoded[name]
    return encoded


def decode_step(encoded: dict[str, Any]) -> Step:
    """Turn JSON values back into the step, marked as replayed."""
    fields = dict(encoded)
    reasons = fields.pop("reasons")
    prediction, label = fields.pop("prediction"), fields.pop("label")
    return Step(
        **fields | {"positions": _array(fields["positions"])},
        decision=Decision(tuple(QueryReason(reason) for reason in reasons)),
        prediction=_decode(Prediction, prediction, "forces", "forces_std"),
        label=_decode(Label, label, "forces"),
        replayed=True,
    )


def encode_label(label: Label) -> dict[str, object]:
    """Turn a label into JSON values."""
    return asdict(label, dict_factory=_plain)


def decode_label(encoded: dict[str, Any]) -> Label:
    """Turn JSON values back into the label.

    Raises
    ------
    ParentError
        If a number is not finite.
    """
    return Label(**encoded | {"forces": _array(encoded["forces"])})


def _plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in pairs
    }


def _decode(kind: type[T], fields: dict[str, Any] | None, *arrays: str) -> T | None:
    if fields is None:
        return None
    found = {name: _array(fields[name]) for name in arrays if fields[name] is not None}
    return kind(**fields | found)


def _array(values: list[list[float]]) -> Array:
    return np.array(values, dtype=np.float64).reshape(-1, 3)
