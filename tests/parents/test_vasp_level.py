"""The words of VASP's level of theory: what changes converged numbers, and nothing else."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, iterparse

import pytest

from finetuna_flows.relaxation.vasp.attempt import level_of
from finetuna_flows.vasp.level import STAND_IN, vasp_level
from finetuna_flows.vasp.level_difference import level_difference
from finetuna_flows.vasp.level_tags import (
    DEFAULTS,
    GROUPS,
    OF_NO_ACCOUNT,
    SAID_BY_WORDS,
    is_known,
)
from tests.vasp import CAPTURES, captured

ON: dict[str, Any] = {
    "ISPIN": 2,
    "LNONCOLLINEAR": True,
    "LSPIRAL": True,
    "I_CONSTRAINED_M": 1,
    "ICORELEVEL": 1,
    "IDIPOL": 3,
    "LREAL": "Auto",
    "LDAU": True,
    "METAGGA": "R2SCAN",
    "LHFCALC": True,
    "IVDW": 12,
    "LUSE_VDW": True,
    "LSOL": True,
}
"""Another value than the default for the first switch of each group."""
PLAIN = sorted(
    (group.switches, tag, default(on) if callable(default) else default)
    for group in GROUPS
    for tag, default in group.defaults.items()
    for on in ({each: ON[each] for each in group.switches[:1]},)
    if default is not None
)
SPELLED = [
    {"LASPH": ".FALSE."},
    {"LASPH": "F"},
    {"LREAL": ".FALSE."},
    {"LREAL": False},
    {"PREC": "normal"},
    {"PREC": "N"},
    {"IVDW": "0"},
    {"METAGGA": "--"},
    {"ISMEAR": 1, "SIGMA": 0.2},
    {"ISPIN": 1},
    {"ISPIN": 1, "NUPDOWN": 2},
    {"LDAU": False, "LDAUU": [4.0, 0.0], "LDAUL": [2, -1], "LDAUTYPE": 2},
    {"LHFCALC": False, "AEXX": 0.25, "HFSCREEN": 0.2},
    {"LDIPOL": False, "DIPOL": [0.5, 0.5, 0.3]},
    {"lasph": False},
    {"ZAB_VDW": -1.8867},
    {"LSOL": False, "EB_K": 78.4},
    {"AGGAX": 1.0, "ALDAC": 1.0},
]


def level(tags: dict[str, Any]) -> str:
    return vasp_level(tags, None, ["PAW_PBE Cu 22Jun2005"])


@pytest.mark.parametrize(("switches", "tag", "default"), PLAIN)
def test_a_default_that_is_said_is_as_one_left_out(
    switches: tuple[str, ...], tag: str, default: Any
) -> None:
    on = {each: ON[each] for each in switches[:1]}
    assert level({**on, tag: default}) == level(on)
    words = f".{str(default).upper()}." if isinstance(default, bool) else default
    assert level({**on, tag: words}) == level(on)


@pytest.mark.parametrize("tags", SPELLED)
def test_a_default_is_known_however_it_is_written(tags: dict[str, Any]) -> None:
    assert level(tags) == level({})


@pytest.mark.parametrize("tag", sorted(OF_NO_ACCOUNT | {"ML_ISTART", "PYAMFF_TOL"}))
def test_what_changes_no_converged_number_is_not_said(tag: str) -> None:
    assert level({tag: 7}) == level({})


@pytest.mark.parametrize("tag", sorted(DEFAULTS))
def test_every_tag_of_the_level_is_said_where_it_has_a_meaning(tag: str) -> None:
    group = next((each for each in GROUPS if tag in each.defaults), None)
    on = {each: ON[each] for each in group.switches[:1]} if group else {}
    assert level({**on, tag: 3}) != level(on)


def test_no_tag_is_in_two_places() -> None:
    placed = [tag for group in GROUPS for tag in group.defaults]
    assert len(placed) == len(set(placed))
    assert not set(placed) & (OF_NO_ACCOUNT | SAID_BY_WORDS)


@pytest.mark.parametrize("tags", [{"VENDOR_TAG": 1}, {"LFOO": True}, {"AMGGAY": [1.0, 2.0]}])
def test_what_is_not_known_is_said(tags: dict[str, Any]) -> None:
    (tag,) = tags
    assert not is_known(tag)
    assert level(tags) != level({})
    assert tag in level(tags)


def test_exchange_is_what_a_hybrid_functional_leaves() -> None:
    half = {"LHFCALC": True, "AEXX": 0.5}
    assert level({**half, "AGGAX": 0.5, "ALDAX": 0.5, "AGGAC": 1.0}) == level(half)
    assert "AGGAX 0.75" in level({**half, "AGGAX": 0.75})
    whole = {"LHFCALC": True, "AEXX": 1.0}
    assert level({**whole, "AGGAC": 0.0, "ALDAC": 0.0}) == level(whole)


def test_pbe_is_what_pbes_data_sets_are_of() -> None:
    assert level({"GGA": "PE"}) == level({})
    assert level({}).startswith("VASP PBE, ")
    assert level({"GGA": "RP"}) != level({})
    of_lda = vasp_level({}, None, ["PAW Cu 19Jan1994"])
    assert of_lda == vasp_level({"GGA": "CA"}, None, ["PAW Cu 19Jan1994"])
    assert vasp_level({}, None, ["Cu"]).startswith("VASP functional of the POTCARs, ")
    assert level({"METAGGA": "SCAN", "GGA": "PE"}) == level({"METAGGA": "SCAN"})


def test_the_tetrahedron_method_has_no_width() -> None:
    assert level({"ISMEAR": -5, "SIGMA": 0.05}) == level({"ISMEAR": -5})
    assert level({"ISMEAR": 0, "SIGMA": 0.05}) != level({"ISMEAR": 0})


def test_a_mesh_beside_gamma_is_another() -> None:
    assert level({"KSPACING": 0.3, "KGAMMA": True}) == level({"KSPACING": 0.3})
    assert level({"KSPACING": 0.3, "KGAMMA": ".FALSE."}) != level({"KSPACING": 0.3})


def test_the_cutoff_of_the_potcars_is_the_one_that_was_worked_with() -> None:
    titles = ["PAW_PBE Cu 22Jun2005"]
    left_out = level_of({}, None, titles, worked_with={"ENMAX": "295.44600000"})
    assert left_out == level_of({"ENCUT": "295.446"}, None, titles)
    assert left_out == level_of({}, None, titles, worked_with={"ENCUT": "295.4"})  # OUTCAR
    stand_in = level_of({}, None, titles, STAND_IN, worked_with={"ENMAX": "400.0"})
    assert "cutoff of the POTCARs" in stand_in


def test_a_difference_names_what_is_not_known() -> None:
    one, other = level({"ENCUT": 350, "VENDOR_TAG": 1}), level({"ENCUT": 350})
    said = "in VENDOR_TAG=1, which this package does not know"
    assert level_difference(one, other) == level_difference(other, one) == said
    two = level({"ENCUT": 400, "IVDW": 11, "LASPH": True})
    assert level_difference(two, level({"ENCUT": 350, "IVDW": 12})) == (
        "in 400 eV instead of 350 eV, and in IVDW=11 instead of 12, and in LASPH=T"
    )
    assert level_difference(one, one) == level_difference(one, "GPAW PBE") == ""


def vaspruns() -> list[Path]:
    return sorted(CAPTURES.rglob("*vasprun*.xml*"))


def heads(path: Path) -> Iterator[Element]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
        for _, element in iterparse(stream):
            if element.tag in ("incar", "parameters"):
                yield element
            if element.tag == "parameters":
                return


def values(element: Element) -> dict[str, str]:
    named = [each for each in element.iter() if each.tag in ("i", "v")]
    return {each.get("name", "").upper(): (each.text or "").strip() for each in reversed(named)}


@captured
@pytest.mark.shared_data
@pytest.mark.parametrize("path", vaspruns(), ids=lambda path: "/".join(path.parts[-3:]))
def test_defaults_are_those_that_real_vasp_worked_with(path: Path) -> None:
    given, used = map(values, heads(path))
    on: dict[str, Any] = {
        tag: given[tag] for tag in ("LHFCALC", "AEXX", "ISPIN", "LREAL") if tag in given
    }
    left_out = [
        tag
        for group in GROUPS
        for tag in group.defaults
        if tag in used and tag not in given and used[tag] and DEFAULTS[tag] is not None
        if not group.switches or set(group.switches) & {each for each in on if on[each] != "F"}
    ]
    assert len(left_out) > 15
    assert level({**on, **{tag: used[tag] for tag in left_out}}) == level(on)
