"""Who watches a relaxation: one line of log a step, in fixed columns."""

from __future__ import annotations

import logging

from finetuna_flows.geometry import fmax
from finetuna_flows.history import History
from finetuna_flows.records import Step

logger = logging.getLogger(__name__)

HEADER = f"{'step':>5} {'calls':>5} {'energy/eV':>14} {'fmax pred.':>10} {'parent':>10}  asked for"


def log_asking(step: Step) -> None:
    """Say that the parent is asked now, which may take an hour."""
    reasons = ", ".join(step.decision.reasons)
    logger.debug("step %d: asking the parent (%s)", step.index, reasons)


def log_step(step: Step, past: History) -> None:
    """Write a new step's line; step and history ride along for handlers that draw."""
    if step.replayed:
        return
    if len(past) == 1 or past[-2].replayed:
        logger.info(HEADER)
    logger.info("%s", line(step, past), extra={"step": step, "past": past})


def line(step: Step, past: History) -> str:
    """Step, parent calls, energy in eV, predicted and parent fmax in eV/Å, reasons."""
    predicted = f"{fmax(step.prediction.forces, past.free):.4f}" if step.prediction else "-"
    labelled = f"{fmax(step.label.forces, past.free):.4f}" if step.label else "-"
    reasons = ", ".join(step.decision.reasons)
    return (
        f"{step.index:5d} {past.parent_calls:5d} {step.energy:14.6f} {predicted:>10} {labelled:>10}"
        f"  {reasons}"
    ).rstrip()
