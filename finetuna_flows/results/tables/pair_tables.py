"""Methods in pairs, over the systems that both have, with words for whether they differ."""

from __future__ import annotations

from collections.abc import Sequence

from finetuna_flows.results.tables.captions import (
    cautions,
    compared,
    rules_of_success,
    subject,
    words_of_pairs,
)
from finetuna_flows.results.tables.layout import Column, TextTable
from finetuna_flows.results.tables.numbers import DASH, MINUS, probability, with_interval
from finetuna_flows.results.tables.pairs import LEAST, Contest, Outmatch, PairedComparison
from finetuna_flows.results.tables.study import Study

BOOTSTRAP = (
    "In brackets 95 % intervals of a bootstrap over systems (BCa: Efron, Tibshirani, An "
    "Introduction to the Bootstrap, 1993), whole pairs being drawn."
)


def pair_tables(study: Study, pairs: Sequence[PairedComparison]) -> list[TextTable]:
    """Calls, energies, and, where both are measured against a third, successes."""
    tables = [_calls(study, pairs), _energies(study, pairs)]
    measured = [each for each in pairs if each.strict is not None]
    return [*tables, _successes(study, measured)] if measured else tables


def _calls(study: Study, pairs: Sequence[PairedComparison]) -> TextTable:
    return TextTable(
        label="pairs-calls",
        title=f"Parent calls of methods in pairs, {subject(study)}",
        columns=(
            Column("first − second", is_text=True),
            Column("n"),
            Column("calls", "[95 %]"),
            Column("calls", "% of ref. [95 %]"),
            Column("fewer : same : more", "systems"),
            Column("in words", is_text=True),
        ),
        rows=tuple(
            (
                _pair(each),
                str(each.calls.n),
                with_interval(each.calls),
                with_interval(each.calls_ratio, 100.0),
                _contest(each.fewer_calls),
                each.verdict or DASH,
            )
            for each in pairs
        ),
        notes=(
            *compared(study),
            f"Means of differences within systems. {BOOTSTRAP} In words: by the "
            f"percentages, of at least {LEAST} systems.",
            words_of_pairs(len(pairs)),
            *cautions(study),
        ),
    )


def _energies(study: Study, pairs: Sequence[PairedComparison]) -> TextTable:
    return TextTable(
        label="pairs-energies",
        title=f"Energies of methods in pairs, {subject(study)}",
        columns=(
            Column("first − second", is_text=True),
            Column("n"),
            Column("energy", "meV [95 %]"),
            Column("lower : same : higher", "systems"),
            Column("p"),
            Column("in words", is_text=True),
        ),
        rows=tuple(
            (
                _pair(each),
                str(each.energy.n),
                with_interval(each.energy, 1000.0),
                _contest(each.lower_energy),
                probability(each.lower_energy.p),
                each.energy_verdict or DASH,
            )
            for each in pairs
        ),
        notes=(
            *compared(study),
            "Energies at the ends, of one level of theory; same: within the tolerance. Means of "
            f"differences within systems. {BOOTSTRAP} p: exact sign test of lower against higher, "
            "which gives the words, since a single structure can make a mean its own.",
            words_of_pairs(len(pairs)),
            *cautions(study),
        ),
    )


def _successes(study: Study, pairs: Sequence[PairedComparison]) -> TextTable:
    return TextTable(
        label="pairs-successes",
        title=f"Successes of methods in pairs, {subject(study)}",
        columns=(
            Column("first : second", is_text=True),
            Column("n"),
            Column(f"E ≤ +{study.energy_tolerance:g}", "first : second"),
            Column("p"),
            Column("in words", is_text=True),
            Column("strict", "first : second"),
            Column("p"),
            Column("in words", is_text=True),
        ),
        rows=tuple(
            (
                f"{each.first} : {each.second}",
                str(each.strict.n if each.strict else 0),
                *_outmatch(each.passing),
                *_outmatch(each.strict),
            )
            for each in pairs
        ),
        notes=(
            *compared(study),
            rules_of_success(study),
            "p: exact McNemar test, of the systems on which only one of both succeeds.",
            words_of_pairs(len(pairs)),
            *cautions(study),
        ),
    )


def _pair(pair: PairedComparison) -> str:
    return f"{pair.first} {MINUS} {pair.second}"


def _contest(contest: Contest) -> str:
    return f"{contest.less} : {contest.equal} : {contest.more}"


def _outmatch(outmatch: Outmatch | None) -> tuple[str, str, str]:
    if outmatch is None or not outmatch.n:
        return DASH, DASH, DASH
    counts = f"{outmatch.first} : {outmatch.second}"
    return counts, probability(outmatch.p), outmatch.verdict or DASH
