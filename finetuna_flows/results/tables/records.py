"""Tables as plain numbers, whole, under names that hold their units.

``percent`` is of the reference or of the systems, ``s`` seconds, ``eV_per_A`` eV/Å; ``low`` and
``high`` are the ends of a 95 % interval, ``error`` is a standard error, and ``n`` of how many.
What is not known is None: null in JSON, an empty cell in CSV.
"""

from __future__ import annotations

from finetuna_flows.reasons import FailureReason
from finetuna_flows.results.tables.bootstrap import Difference
from finetuna_flows.results.tables.methods import MethodSummary
from finetuna_flows.results.tables.pairs import Contest, Outmatch, PairedComparison
from finetuna_flows.results.tables.statistics import Mean, Share
from finetuna_flows.results.tables.study import Outcome, Study

Value = str | float | bool | None
Record = dict[str, Value]


def about(study: Study) -> Record:
    """What a study compares, and how."""
    return {
        "reference": study.reference,
        "energy_tolerance_eV": study.energy_tolerance,
        "count": study.count.value,
        "systems_n": len(study.systems),
    }


def method_record(summary: MethodSummary) -> Record:
    """One method over all systems."""
    time = summary.wall_time
    record: Record = {
        "method": summary.method,
        **_mean("parent_calls_percent", summary.calls_ratio, 100.0),
        "parent_calls_mean": summary.calls.value,
        **_share("lower", summary.lower),
        **_share("within", summary.within),
        **_share("success", summary.passing),
        **_share("strict_success", summary.strict),
        **_share("converged", summary.converged),
        "fmax_median_eV_per_A": summary.fmax,
        **_mean("scf_cycles_percent", summary.scf_ratio, 100.0),
        "scf_cycles_mean": summary.scf_cycles.value,
        **_mean("wall_time_percent", time.ratio, 100.0),
        **_mean("wall_time_s", time.total),
        "parent_time_s": time.parent.value,
        "tuning_time_s": time.tuning.value,
        "prediction_time_s": time.prediction.value,
        "prediction_time_s_n": time.prediction.n,
        "overhead_time_s": time.overhead.value,
    }
    failed = {f"failed_{reason.value}": summary.failures.get(reason, 0) for reason in FailureReason}
    return record | failed


def pair_record(pair: PairedComparison) -> Record:
    """Two methods; differences are the first less the second."""
    return {
        "first": pair.first,
        "second": pair.second,
        **_difference("parent_calls", pair.calls),
        **_contest("calls", ("fewer", "same", "more"), pair.fewer_calls),
        "parent_calls_in_words": pair.verdict,
        **_difference("parent_calls_percent", pair.calls_ratio, 100.0),
        **_difference("energy_eV", pair.energy),
        **_contest("energy", ("lower", "same", "higher"), pair.lower_energy),
        "energy_p": pair.lower_energy.p,
        "energy_in_words": pair.energy_verdict,
        **_outmatch("success", pair.passing),
        **_outmatch("strict_success", pair.strict),
    }


def outcome_record(outcome: Outcome) -> Record:
    """One method on one system."""
    row, ratio, timings = outcome.row, outcome.calls_ratio, outcome.row.timings
    timed = timings if outcome.wall_time is not None else None
    cycles = row.scf_cycles_ratio
    return {
        "system": outcome.system,
        "method": row.method,
        "parent_calls": outcome.calls,
        "parent_calls_percent": ratio * 100 if ratio is not None else None,
        "parent_mode": row.parent_mode,
        "energy_eV": row.energy,
        "energy_difference_eV": row.energy_difference,
        "success": outcome.passes,
        "strict_success": row.strict_success,
        "failures": " ".join(row.failures),
        "same_minimum": row.same_minimum,
        "rmsd_A": row.rmsd,
        "integrity": row.integrity.value if row.integrity else None,
        "converged": row.converged,
        "fmax_eV_per_A": row.fmax,
        "stop_reason": row.stop_reason.value if row.stop_reason else None,
        "scf_cycles": row.scf_cycles,
        "scf_cycles_percent": cycles * 100 if cycles is not None else None,
        "wall_time_s": timed.total if timed else None,
        "parent_time_s": timed.parent if timed else None,
        "tuning_time_s": timed.tuning if timed else None,
        "prediction_time_s": outcome.prediction_time,
        "overhead_time_s": timed.overhead if timed else None,
        "level_of_theory": row.level_of_theory,
        "uuid": row.uuid,
        "note": row.note,
    }


def _scaled(value: float | None, scale: float) -> float | None:
    return value * scale if value is not None else None


def _mean(name: str, mean: Mean, scale: float = 1.0) -> Record:
    return {
        name: _scaled(mean.value, scale),
        f"{name}_error": _scaled(mean.error, scale),
        f"{name}_n": mean.n,
    }


def _share(name: str, share: Share) -> Record:
    low, high = share.interval or (None, None)
    return {
        name: share.count,
        f"{name}_n": share.n,
        f"{name}_percent": _scaled(share.fraction, 100.0),
        f"{name}_percent_low": _scaled(low, 100.0),
        f"{name}_percent_high": _scaled(high, 100.0),
    }


def _difference(name: str, difference: Difference, scale: float = 1.0) -> Record:
    return {
        f"{name}_difference": _scaled(difference.value, scale),
        f"{name}_difference_low": _scaled(difference.low, scale),
        f"{name}_difference_high": _scaled(difference.high, scale),
        f"{name}_difference_n": difference.n,
    }


def _contest(name: str, words: tuple[str, str, str], contest: Contest) -> Record:
    counts = (contest.less, contest.equal, contest.more)
    return {f"{name}_{word}": count for word, count in zip(words, counts, strict=True)}


def _outmatch(name: str, outmatch: Outmatch | None) -> Record:
    return {
        f"{name}_first": outmatch.first if outmatch else None,
        f"{name}_second": outmatch.second if outmatch else None,
        f"{name}_only_first": outmatch.only_first if outmatch else None,
        f"{name}_only_second": outmatch.only_second if outmatch else None,
        f"{name}_n": outmatch.n if outmatch else None,
        f"{name}_p": outmatch.p if outmatch else None,
        f"{name}_in_words": outmatch.verdict if outmatch else None,
    }
