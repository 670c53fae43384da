"""Tags of the INCAR that change converged energies and forces, with VASP's defaults.

Defaults are those of the VASP Wiki and of the ``<parameters>`` of vasprun.xml files of VASP 5.2 to
6.4, which agree in them. Where a default depends on the POTCARs, on the cell or on other tags, None
stands for it: such a tag is always named where it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from finetuna_flows.vasp.motion import VTST_MOTION
from finetuna_flows.vasp.tags import is_true

Tags = Mapping[str, object]
Plain = bool | float | str | tuple[float, ...] | None
Default = Plain | Callable[[Tags], Plain]


def _aexx(tags: Tags) -> float:
    """Fraction of exact exchange: 0.25 where a hybrid functional says no other."""
    if not is_true(tags.get("LHFCALC", False)):
        return 0.0
    return float(str(tags.get("AEXX", 0.25)))


def _other_exchange(tags: Tags) -> float:
    return 1.0 - _aexx(tags)


def _correlation(tags: Tags) -> float:
    return 0.0 if _aexx(tags) == 1.0 else 1.0


@dataclass(frozen=True)
class Group:
    """Tags that count together."""

    switches: tuple[str, ...]
    """They count where one of these has another value than its default; empty: always."""
    defaults: Mapping[str, Default]


GROUPS = (
    Group(
        (),
        {
            "PREC": "Normal",
            "ENAUG": None,  # of the POTCARs
            "NGX": None, "NGY": None, "NGZ": None,  # of cell, cutoff and PREC
            "NGXF": None, "NGYF": None, "NGZF": None,
            "LREAL": False,
            "ADDGRID": False,
            "LASPH": False,
            "LMAXPAW": -100,
            "NLSPLINE": False,
            "LCOMPAT": False,
            "LCORR": True,
            "VOSKOWN": 0,
            "GGA_COMPAT": True,
            "METAGGA": "--",
            "XC": None, "XC_C": None, "LIBXC1": None, "LIBXC2": None,
            "ALDAX": _other_exchange, "AGGAX": _other_exchange,
            "ALDAC": _correlation, "AGGAC": _correlation,
            "PARAM1": 0.1234, "PARAM2": 1.0, "PARAM3": 0.0, "SCALEE": 1.0,
            "LHFCALC": False,
            "LDAU": False,
            "IVDW": 0,
            "LVDW": False,
            "LUSE_VDW": False,
            "NELECT": None,  # of the POTCARs
            "FERWE": None, "FERDO": None,
            "LNONCOLLINEAR": False,
            "LSORBIT": False,
            "LSPIRAL": False,
            "I_CONSTRAINED_M": 0,
            "ICORELEVEL": 0,
            "IDIPOL": 0,
            "LDIPOL": False,
            "LMONO": False,
            "EFIELD": 0.0,
            "EFIELD_PEAD": (0.0, 0.0, 0.0),
            "PSTRESS": 0.0,
            "LSOL": False,
            "ZVAL": None,
        },
    ),
    Group(("ISPIN",), {"NUPDOWN": -1}),
    Group(("LNONCOLLINEAR", "LSORBIT"), {"SAXIS": (0.0, 0.0, 1.0)}),
    Group(("LSPIRAL",), {"QSPIRAL": (0.0, 0.0, 0.0), "LZEROZ": False, "ENINI": None}),
    Group(("I_CONSTRAINED_M",), {"M_CONSTR": None, "LAMBDA": 1.0, "RWIGS": None}),
    Group(("ICORELEVEL",), {"CLNT": None, "CLN": None, "CLL": None, "CLZ": None}),
    Group(("IDIPOL",), {"DIPOL": None, "EPSILON": 1.0}),
    Group(("LREAL",), {"ROPT": None}),
    Group(("LDAU",), {"LDAUTYPE": 2, "LDAUL": None, "LDAUU": None, "LDAUJ": None}),
    Group(
        ("METAGGA",),
        {
            "LMAXTAU": None,  # of LASPH
            "CMBJ": None, "CMBJA": None, "CMBJB": None, "CMBJE": None, "RSMBJ": None,
            "AMGGAX": None, "AMGGAC": None, "LTBOUNDLIBXC": None,
        },
    ),
    Group(
        ("LHFCALC",),
        {
            "AEXX": 0.25,
            "HFSCREEN": 0.0,
            "HFSCREENC": None, "HFALPHA": None, "HFRCUT": None, "HFLMAX": None,
            "PRECFOCK": "Normal",
            "ENCUTFOCK": None,
            "NKRED": 1, "NKREDX": 1, "NKREDY": 1, "NKREDZ": 1,
            "EVENONLY": False,
            "ODDONLY": False,
            "LMAXFOCK": 4,
            "NMAXFOCKAE": 1,
            "LMAXFOCKAE": None, "QMAXFOCKAE": None,
            "LFOCKAEDFT": False,
            "LMODELHF": False,
            "LRHFCALC": False,
            "LTHOMAS": False,
        },
    ),
    Group(
        ("IVDW", "LVDW"),
        dict.fromkeys((
            "VDW_RADIUS", "VDW_CNRADIUS", "VDW_S6", "VDW_S8", "VDW_SR", "VDW_A1", "VDW_A2",
            "VDW_D", "VDW_C6", "VDW_R0", "VDW_ALPHA", "VDW_C6AU", "VDW_R0AU", "VDW_SCALING",
            "LVDWEXPANSION", "LVDW_EWALD", "LVDW_ONECELL", "LVDWSCS", "LSCALER0", "LSCSGRAD",
            "LCFDM", "LVDW_SAMETYPE",
        )),  # of the method and the functional
    ),
    Group(
        ("LUSE_VDW",),
        {
            "ZAB_VDW": -0.8491,
            "BPARAM": None, "CPARAM": None, "IVDW_NL": None,  # of the functional
            "LSPIN_VDW": False,
        },
    ),
    Group(
        ("LSOL",),
        dict.fromkeys((
            "EB_K", "TAU", "SIGMA_K", "NC_K", "LAMBDA_D_K", "CORE_C", "LNLDIEL", "LNLION",
            "A_K", "C_MOLAR", "D_ION", "ZION", "R_CAV",
        )),  # of the version of VASPsol
    ),
)  # fmt: skip

SAID_BY_WORDS = frozenset({"GGA", "ENCUT", "ISMEAR", "SIGMA", "ISPIN", "KSPACING", "KGAMMA"})
"""What the first words of a level tell."""

OF_NO_ACCOUNT = VTST_MOTION | {
    # motion
    "IBRION", "NSW", "EDIFFG", "POTIM", "ISIF", "NFREE", "SMASS", "TEBEG", "TEEND", "NBLOCK",
    "KBLOCK", "MDALGO", "ANDERSEN_PROB", "LANGEVIN_GAMMA", "LANGEVIN_GAMMA_L", "PMASS",
    "RANDOM_SEED", "LBLUEOUT", "IMAGES", "SPRING", "INTERACTIVE", "IWAVPR", "POMASS", "TELESCOPE",
    # symmetry
    "ISYM", "SYMPREC", "LSYMGRAD",
    # machine
    "NCORE", "NPAR", "KPAR", "NSIM", "LPLANE", "LSCALAPACK", "LSCALU", "LSCAAWARE", "LASYNC",
    "NBLK", "MAXMEM", "NCSHMEM", "NTAUPAR", "NOMEGAPAR", "KPOINT_BSE",
    # files and what is worked out at the end
    "SYSTEM", "NWRITE", "ISTART", "ICHARG", "INIWAV", "LWAVE", "LCHARG", "LAECHG", "LVTOT",
    "LVHAR", "LELF", "LORBIT", "LORBMOM", "NEDOS", "EMIN", "EMAX", "EFERMI", "NPACO", "APACO",
    "LPARD", "IBAND", "EINT", "NBMOD", "KPUSE", "LSEPB", "LSEPK", "LOPTICS", "CSHIFT", "LNABLA",
    "LVEL", "LH5", "LEFG", "QUAD_EFG", "LHYPERFINE", "NGYROMAG", "LBEEFENS", "LBEEFBAS",
    "LDAUPRINT", "LWANNIER90", "LWANNIER90_RUN", "LWRITE_MMN_AMN", "LWRITE_UNK",
    "LWRITE_WANPROJ", "STM", "LCALCEPS", "LCALCPOL", "LEPSILON", "LPEAD", "IPEAD", "LRPA",
    # the way to self-consistency
    "MAGMOM", "LMAXMIX", "LMIXTAU", "NBANDS", "ALGO", "IALGO", "NELM", "NELMIN", "NELMDL", "EDIFF",
    "AMIX", "BMIX", "AMIX_MAG", "BMIX_MAG", "AMIN", "IMIX", "INIMIX", "MIXPRE", "MIXFIRST",
    "MAXMIX", "MREMOVE", "WC", "TIME", "LDIAG", "LSUBROT", "NRMM", "NDAV", "WEIMIN", "EBREAK",
    "DEPER", "LFOCKACE", "ISEARCH",
}  # fmt: skip
"""Tags of the motion, of the machine, of files, and of the way to self-consistency."""

DEFAULTS: Mapping[str, Default] = {"ISPIN": 1} | {
    tag: default for group in GROUPS for tag, default in group.defaults.items()
}
"""Of all tags that change converged numbers."""

TOLD_BY_OUTCAR = frozenset(
    {"GGA", "ENCUT", "ISMEAR", "SIGMA", "ISPIN", "LDAUU"}
    | {tag for tag, default in DEFAULTS.items() if default is not None}
)
"""Of which an OUTCAR of VASP 5, that does not repeat the INCAR, tells the level."""


def is_known(tag: str) -> bool:
    """Whether it is known what a tag does to converged numbers."""
    return tag in DEFAULTS or tag in SAID_BY_WORDS or is_of_no_account(tag)


def is_of_no_account(tag: str) -> bool:
    """Whether a tag changes no converged number.

    Nor do those of a machine-learned force field: runs with it are refused, and without it VASP
    ignores them. VTST's learning optimizer (IOPT = 8) is one of the motion.
    """
    return tag in OF_NO_ACCOUNT or tag.startswith(("ML_", "PYAMFF_"))


def is_default(tag: str, tags: Tags) -> bool:
    """Whether a tag is left out, or has the value that it would have then.

    Parameters
    ----------
    tag
        In capitals.
    tags
        All that are given, in capitals.
    """
    default = DEFAULTS.get(tag)
    if callable(default):
        default = default(tags)
    return tag not in tags or _is(tags[tag], default)


def level_tags(tags: Tags) -> list[str]:
    """The tags, of those given, that make the level another one than VASP's defaults would.

    Parameters
    ----------
    tags
        All that are given, in capitals.
    """
    silent = {
        tag
        for group in GROUPS
        if group.switches and all(is_default(each, tags) for each in group.switches)
        for tag in group.defaults
    }
    return sorted(
        tag
        for tag in tags
        if tag not in SAID_BY_WORDS
        and tag not in silent
        and not is_of_no_account(tag)
        and not is_default(tag, tags)
    )


def _is(value: object, default: Plain) -> bool:
    """Whether a value, however it is written, is a default."""
    words = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value).strip()
    if isinstance(default, bool):
        return words.strip(".")[:1].upper() == str(default)[0]
    if isinstance(default, str):
        return _means_nothing(words) if default == "--" else words[:1].upper() == default[0]
    if default is None:
        return False
    wanted = default if isinstance(default, tuple) else (default,)
    try:
        given = [float(word) for word in words.split()]
    except ValueError:
        return False
    return len(given) == len(wanted) and all(
        abs(one - other) < 1e-8 for one, other in zip(given, wanted, strict=True)
    )


def _means_nothing(words: str) -> bool:
    return words.upper() in ("", "--", "NONE", "F", ".FALSE.")
