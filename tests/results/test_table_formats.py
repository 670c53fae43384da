"""Tables as they are written: every format whole, balanced, and saying what it is of."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO
from statistics import fmean

import pytest

from finetuna_flows.results.documents import ComparisonDoc
from finetuna_flows.results.tables.bootstrap import Difference
from finetuna_flows.results.tables.counting import Count
from finetuna_flows.results.tables.latex import escaped, to_latex
from finetuna_flows.results.tables.layout import Column, TextTable, named, said_once
from finetuna_flows.results.tables.markdown import to_markdown
from finetuna_flows.results.tables.numbers import (
    amount,
    percent_with_interval,
    plain,
    probability,
    signed,
    with_error,
    with_interval,
)
from finetuna_flows.results.tables.render import Part, StudyTables
from finetuna_flows.results.tables.statistics import Mean, Share
from finetuna_flows.results.tables.study import study_of
from tests.results.studies import three_systems


@pytest.fixture(scope="module")
def three() -> list[ComparisonDoc]:
    return three_systems()


@pytest.mark.parametrize("part", [(each,) for each in Part])
def test_every_output_says_what_was_compared_and_how(
    three: list[ComparisonDoc], part: tuple[Part]
) -> None:
    study = study_of(three, count=Count.FRAMES_MINUS_ONE)
    tables = StudyTables(study, part)
    assert tables.texts
    for table in tables.texts:
        for text in (to_markdown(table), to_latex(table)):
            assert "3 systems relative to CG" in text
            assert "Reference: CG" in text
            assert "0.02 eV" in text
            assert "The first label, which every run needs, is not counted" in text
    about = json.loads(tables.json)["about"]
    assert about == {
        "reference": "CG",
        "energy_tolerance_eV": 0.02,
        "count": "frames-1",
        "systems_n": 3,
    }
    for row in csv.DictReader(StringIO(tables.csv)):
        assert {name: row[name] for name in about} == {k: str(v) for k, v in about.items()}


def test_csv_and_json_hold_the_numbers_whole(three: list[ComparisonDoc]) -> None:
    tables = StudyTables(study_of(three), tuple(Part))
    held = json.loads(tables.json)
    learner = held["methods"][2]
    assert learner["method"] == "learner"
    assert learner["parent_calls_percent"] == pytest.approx(
        fmean([1100 / 101, 500 / 41, 2100 / 201])
    )
    assert (learner["strict_success"], learner["strict_success_n"]) == (2, 3)
    assert learner["failed_not_converged"] == 1
    assert learner["scf_cycles_percent"] is None
    for part in Part:
        (*rows,) = csv.DictReader(StringIO(StudyTables(tables.study, (part,)).csv))
        assert len(rows) == len(held[part.value])
        for row, record in zip(rows, held[part.value], strict=True):
            for name, value in record.items():
                assert row[name] == ("" if value is None else str(value))
    ends = {(each["system"], each["method"]): each for each in held["systems"]}
    assert ends["s01", "learner"]["energy_difference_eV"] == pytest.approx(-0.5)
    assert ends["s01", "learner"]["same_minimum"] is False
    assert ends["s01", "BFGS"]["failures"] == "higher another_minimum"
    assert ends["s01", "BFGS"]["wall_time_s"] is ends["s01", "BFGS"]["parent_time_s"] is None
    assert ("s02", "BFGS") not in ends


def test_every_note_is_a_sentence(three: list[ComparisonDoc]) -> None:
    tables = StudyTables(study_of(three), tuple(Part))
    notes = json.loads(tables.json)["notes"]
    for note in [*notes, *(note for each in tables.texts for note in each.notes)]:
        assert len(note.split()) > 3, note
        assert note.endswith(".")
    assert any("one-sided rule of the FINETUNA paper" in note for note in notes)


def test_csv_refuses_two_tables(three: list[ComparisonDoc]) -> None:
    with pytest.raises(ValueError, match="one table but methods, pairs are wanted"):
        _ = StudyTables(study_of(three), (Part.METHODS, Part.PAIRS)).csv


def test_every_system_has_its_row(three: list[ComparisonDoc]) -> None:
    (table,) = StudyTables(study_of(three), (Part.SYSTEMS,)).texts
    assert [column.name for column in table.columns] == ["system", "CG", "BFGS", "learner"]
    assert [re.sub(" +", " ", " | ".join(row)) for row in table.rows] == [
        "s00 | 101 | 51 (50) +1.0 = ✓ | 11 (11) 0.0 = ✓",
        "s01 | 41 | 31 (76) +30.0 ≠ ✗ | 5 (12) −500 ≠ ✓",
        "s02 | 201 | – | 21 (10) +2.0 = ✗",
    ]


def test_markdown_has_as_many_cells_everywhere(three: list[ComparisonDoc]) -> None:
    odd = [doc.model_copy(update={"system": f"a|b*{doc.system}_"}) for doc in three]
    for block in StudyTables(study_of(odd), tuple(Part)).markdown.split("**")[2::2]:
        lines = [line for line in block.splitlines() if line.startswith("|")]
        cells = {len(re.split(r"(?<!\\)\|", line)) for line in lines}
        assert len(cells) == 1
    assert r"a\|b\*s00\_" in StudyTables(study_of(odd), (Part.SYSTEMS,)).markdown


@pytest.mark.parametrize("name", ["[a](b)", "~~a~~", "$a$", "&amp;", "![a]", "VASP_CG", "<b>"])
def test_markdown_leaves_nothing_to_be_found_in_a_name(name: str) -> None:
    text = to_markdown(TextTable("x", name, (Column(name),), ((name,),), (name,)))
    assert not re.search(r"(?<!\\)[\[\]~$&!_<>]", text)
    assert text.replace("\\", "").count(name) == 4


def test_a_name_of_several_lines_is_one_line_in_every_format(three: list[ComparisonDoc]) -> None:
    odd = [
        doc.model_copy(
            update={
                "system": f"a\r\n\n b\tc {doc.system}",
                "reference_method": "C\nG",
                "rows": (doc.rows[0].model_copy(update={"method": "C\nG"}), *doc.rows[1:]),
            }
        )
        for doc in three
    ]
    for table in StudyTables(study_of(odd), tuple(Part)).texts:
        heads = [column.name for column in table.columns]
        texts = [table.title, *heads, *table.notes, *(cell for row in table.rows for cell in row)]
        assert not any(re.search(r"[^\S ]", text) for text in texts)
        assert "C G" in table.title
    assert table.rows[0][0] == "a b c s00"
    assert re.search(r"\)  +\S", "".join(table.rows[0]))  # blanks that set numbers stay
    assert "| a b c s00 | 101 |" in to_markdown(table)
    assert "\na b c s00 & 101 &" in to_latex(table)


def test_latex_is_balanced_and_escaped(three: list[ComparisonDoc]) -> None:
    odd = [doc.model_copy(update={"system": f"[50%_{doc.system}#&{{~^\\$"}) for doc in three]
    text = StudyTables(study_of(odd), tuple(Part)).latex
    assert text.isascii()
    bare = re.sub(r"\\[{}%_&#$]", "", text.replace(r"\\", ""))
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not set(bare.replace("% \\usepackage", "")) & set("#_%~^")
    begun, ended = (re.findall(rf"\\{word}{{(.*?)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    for columns, body in re.findall(
        r"\\begin{tabular}{([lr]+)}\n(.*?)\\end{tabular}", text, re.DOTALL
    ):
        assert body.startswith("\\toprule\n")
        for line in body.splitlines():
            if not line.endswith("rule"):
                assert line.endswith(r" \\")
                assert len(re.split(r"(?<!\\)&", line)) == len(columns)
                assert not line.startswith(("[", "*"))


def test_latex_writes_signs_as_math() -> None:
    assert escaped("61.1 ± 3.8 % of −0.5 eV/Å") == r"61.1 $\pm$ 3.8 \% of $-$0.5 eV/\AA{}"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (with_error(Mean(0.611, 0.0382, 30), 100), "61.1 ± 3.8"),
        (with_error(Mean(100.0, 12.3, 9)), "100 ± 12"),
        (with_error(Mean(5.5, None, 1)), "5.5 ± –"),
        (with_error(Mean(None, None, 0)), "–"),
        (with_error(Mean(1.0, 0.0, 4), 100), "100.0 ± 0.0"),
        (with_error(Mean(1.0, 1e-9, 4)), "1.0000 ± 0.0000"),
        (with_interval(Difference(-51.29, -65.2, -38.91, 9)), "−51 [−65, −39]"),
        (with_interval(Difference(-0.0004, -0.0012, 0.0003, 9), 1000), "−0.40 [−1.20, +0.30]"),
        (with_interval(Difference(0.0, 0.0, 0.0, 9)), "0.0 [0.0, 0.0]"),
        (with_interval(Difference(3.0, None, None, 1)), "+3.0 [–]"),
        (with_interval(Difference(None, None, None, 0)), "–"),
        (signed(-0.04, 1), "0.0"),
        (signed(0.04, 1), "0.0"),
        (signed(0.05, 2), "+0.05"),
        (plain(None, 1), "–"),
        (amount(1760.4), "1760"),
        (amount(9.24), "9.24"),
        (amount(0.0), "0.0"),
        (probability(0.0004), "< 0.001"),
        (probability(0.0312), "0.031"),
        (probability(None), "–"),
        (percent_with_interval(Share(25, 30)), "83.3 [66, 93]"),
        (percent_with_interval(Share(3, 3)), "100 [44, 100]"),
        (percent_with_interval(Share(0, 0)), "–"),
        (named(["a", "b", "c"], most=2), "a, b and 1 more"),
    ],
)
def test_numbers_have_the_digits_that_are_known(said: str, expected: str) -> None:
    assert said == expected


def test_a_table_refuses_rows_of_another_length() -> None:
    with pytest.raises(ValueError, match="a row has 1 cells but there are 2"):
        TextTable("x", "x", (Column("a"), Column("b")), (("1",),), ())


def test_what_was_said_is_not_said_again_below(three: list[ComparisonDoc]) -> None:
    tables = StudyTables(study_of(three), (Part.METHODS, Part.PAIRS, Part.SYSTEMS))
    every = {note for table in tables.texts for note in table.notes}
    told = [note for table in said_once(tables.texts) for note in table.notes]
    assert sorted(told) == sorted(every)
    assert tables.markdown.count("Every label counts") == 1
    assert tables.latex.count("Every label counts") == len(tables.texts)  # each stands alone
