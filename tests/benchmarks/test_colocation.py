"""The benchmark of colocation runs and prints its tables; what it measures is not asserted."""

from __future__ import annotations

import pytest

from benchmarks.colocation import main


@pytest.mark.slow
def test_quick_benchmark_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick", "--pollers", "1"])
    tables = [rows_of(table) for table in capsys.readouterr().out.split("\n\n") if "|---" in table]
    assert [table[0][0] for table in tables] == [
        "100 atoms",
        "part of a label",
        "a process of its own",
        "parent in",
        "9 atoms, s a label",
    ]
    round_trips, _, _, relaxations, _ = tables
    assert [row[0] for row in round_trips[1:]] == [
        *2 * ["UNIX socket"],
        *2 * ["TCP, loopback"],
        "UNIX socket",
    ]
    assert {len(row) for table in tables for row in table[1:]} == {3, 5, 6, 11}
    calls = [row[relaxations[0].index("parent calls")] for row in relaxations[1:]]
    assert len(calls) == 5
    assert len(set(calls)) == 1  # where the parent is changes no number


def rows_of(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[word.strip() for word in line.strip("|").split("|")] for line in lines]
