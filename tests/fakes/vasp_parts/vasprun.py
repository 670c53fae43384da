"""vasprun.xml."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from . import bands
from .engine import Answer
from .fortran import fixed, logical, row
from .outcar import KBAR
from .scene import MOMENT, Scene
from .structure import Array, Structure

Value = int | float | bool | str | Sequence[float]


def head(scene: Scene) -> str:
    """Everything before the first ionic step."""
    switches, structure = scene.switches, scene.structure
    subversion = f"{switches.build} {switches.sentence} parallel "
    return "".join(
        [
            '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n <generator>\n',
            '  <i name="program" type="string">vasp </i>\n',
            f'  <i name="version" type="string">{switches.version}  </i>\n',
            f'  <i name="subversion" type="string">{escape(subversion)}</i>\n',
            '  <i name="platform" type="string">LinuxIFC </i>\n',
            f'  <i name="date" type="string">{scene.started:%Y %m %d} </i>\n',
            f'  <i name="time" type="string">{scene.started:%H:%M:%S} </i>\n',
            " </generator>\n <incar>\n",
            *(_tag(*typed) for typed in scene.incar.typed()),
            " </incar>\n",
            _structure(structure, "primitive_cell", indent=1),
            _kpoints(scene),
            _parameters(scene),
            _atoms(scene),
            _structure(structure, "initialpos", indent=1),
        ]
    )


def _tag(name: str, kind: str, value: str) -> str:
    words = value.split()
    if kind == "logical":
        return _item(name, "T" in value.upper(), 2)
    if kind == "string" or not words:
        return _item(name, value, 2)
    numbers = [float(word.replace("D", "e").replace("d", "e")) for word in words]
    if len(numbers) > 1:
        return _item(name, numbers, 2)
    return _item(name, int(value) if kind == "int" else numbers[0], 2)


def _item(name: str, value: Value, indent: int) -> str:
    pad = " " * indent
    if isinstance(value, bool):
        return f'{pad}<i type="logical" name="{name}"> {logical(value)}  </i>\n'
    if isinstance(value, int):
        return f'{pad}<i type="int" name="{name}">{value:6d}</i>\n'
    if isinstance(value, str):
        return f'{pad}<i type="string" name="{name}">{escape(value)}</i>\n'
    if isinstance(value, float):
        return f'{pad}<i name="{name}">{fixed(value, 16, 8)}</i>\n'
    return f'{pad}<v name="{name}">{row(value, 16, 8)}</v>\n'


def _parameters(scene: Scene) -> str:
    job, incar = scene.job, scene.incar
    groups: dict[str, dict[str, Value]] = {
        "general": {"SYSTEM": incar.text("SYSTEM", "unknown system"), "LCOMPAT": False},
        "electronic": {
            "PREC": incar.text("PREC", "normal"),
            "ENMAX": incar.real("ENCUT", 400.0),
            "EDIFF": job.ediff,
            "IALGO": 38,
            "NBANDS": scene.bands,
            "NELECT": scene.electrons,
            "ISMEAR": incar.integer("ISMEAR", 1),
            "SIGMA": incar.real("SIGMA", 0.2),
            "ISTART": int(scene.warm),
            "ICHARG": 0 if scene.warm else 2,
            "ISPIN": job.ispin,
            "LNONCOLLINEAR": False,
            "LSORBIT": False,
            "MAGMOM": [MOMENT / len(scene.structure)] * len(scene.structure),
            "NELM": job.nelm,
            "NELMIN": job.nelmin,
            "LDIPOL": incar.logical("LDIPOL", default=False),
        },
        "ionic": {
            "NSW": job.nsw,
            "IBRION": job.ibrion,
            "ISIF": job.isif,
            "EDIFFG": job.ediffg,
            "POTIM": job.potim,
        },
        "symmetry": {"ISYM": incar.integer("ISYM", 2), "SYMPREC": incar.real("SYMPREC", 1e-5)},
        "dos": {"LORBIT": job.lorbit, "NEDOS": 301},
        "writing": {"LWAVE": job.lwave, "LCHARG": job.lcharg},
        "electronic exchange-correlation": {
            "GGA": incar.text("GGA", "PE"),
            "LHFCALC": False,
            "AEXX": 0.0,
            "HFSCREEN": 0.0,
        },
        "vdW DFT": {"LUSE_VDW": False},
        "linear response parameters": {"LEPSILON": False},
        "orbital magnetization": {"LCHIMAG": False},
    }
    text = ""
    for group, items in groups.items():
        lines = "".join(_item(name, value, 3) for name, value in items.items())
        text += f'  <separator name="{group}" >\n{lines}  </separator>\n'
    return f" <parameters>\n{text} </parameters>\n"


def _kpoints(scene: Scene) -> str:
    grid = scene.kpoints
    text = ""
    if grid.style:
        vectors = [[float(i == j) / grid.divisions[i] for j in range(3)] for i in range(3)]
        text = (
            f'  <generation param="{grid.style}">\n'
            f'   <v type="int" name="divisions">{"".join(f"{n:8d} " for n in grid.divisions)}</v>\n'
            f'   <v name="usershift">{row(grid.shift, 17, 8)} </v>\n'
            + "".join(
                f'   <v name="genvec{n}">{row(one, 17, 8)} </v>\n'
                for n, one in enumerate(vectors, 1)
            )
            + f'   <v name="shift">{row([0.0] * 3, 17, 8)} </v>\n  </generation>\n'
        )
    table = _varray("kpointlist", grid.points, 2) + _varray("weights", grid.weights[:, None], 2)
    return f" <kpoints>\n{text}{table} </kpoints>\n"


def _varray(name: str, rows: Array, indent: int) -> str:
    pad = " " * indent
    lines = "".join(f"{pad} <v>{row(one, 17, 8)} </v>\n" for one in rows)
    return f'{pad}<varray name="{name}" >\n{lines}{pad}</varray>\n'


def _atoms(scene: Scene) -> str:
    pairs = list(zip(scene.structure.counts, scene.species, strict=True))
    atoms = "".join(
        f"    <rc><c>{one.symbol:<2}</c><c>{kind:4d}</c></rc>\n" * count
        for kind, (count, one) in enumerate(pairs, 1)
    )
    types = "".join(
        f"    <rc><c>{count:4d}</c><c>{one.symbol:<2}</c><c>{one.mass:16.8f}</c>"
        f"<c>{one.valence:16.8f}</c><c>  {one.title:<38}</c></rc>\n"
        for count, one in pairs
    )
    return (
        f" <atominfo>\n  <atoms>{len(scene.structure):8d} </atoms>\n"
        f"  <types>{len(pairs):8d} </types>\n"
        '  <array name="atoms" >\n   <dimension dim="1">ion</dimension>\n'
        '   <field type="string">element</field>\n   <field type="int">atomtype</field>\n'
        f"   <set>\n{atoms}   </set>\n  </array>\n"
        '  <array name="atomtypes" >\n   <dimension dim="1">type</dimension>\n'
        '   <field type="int">atomspertype</field>\n   <field type="string">element</field>\n'
        "   <field>mass</field>\n   <field>valence</field>\n"
        '   <field type="string">pseudopotential</field>\n'
        f"   <set>\n{types}   </set>\n  </array>\n </atominfo>\n"
    )


def _structure(structure: Structure, name: str, *, indent: int) -> str:
    pad = " " * indent
    label = f' name="{name}" ' if name else ""
    selective = ""
    if structure.free is not None and name:
        flags = "".join(
            f'{pad}  <v type="logical" >{"".join(f"  {logical(flag)}" for flag in flags)} </v>\n'
            for flags in structure.free
        )
        selective = f'{pad} <varray name="selective"  type="logical" >\n{flags}{pad} </varray>\n'
    return (
        f"{pad}<structure{label}>\n{pad} <crystal>\n{_varray('basis', structure.cell, indent + 2)}"
        f'{pad}  <i name="volume">{fixed(structure.volume, 16, 8)} </i>\n'
        f"{_varray('rec_basis', structure.reciprocal, indent + 2)}{pad} </crystal>\n"
        f"{_varray('positions', structure.positions, indent + 1)}{selective}{pad}</structure>\n"
    )


def cycle(free: float, bare: float, zero: float, cpu: float) -> str:
    """One electronic cycle; eV, seconds."""
    return (
        f'  <scstep>\n   <time name="total">{cpu:8.2f}{cpu:8.2f}</time>\n'
        f"   <energy>\n{_energies(free, bare, zero, 4)}   </energy>\n  </scstep>\n"
    )


def _energies(free: float, bare: float, zero: float, indent: int) -> str:
    names = {"e_fr_energy": free, "e_wo_entrp": bare, "e_0_energy": zero}
    pad = " " * indent
    return "".join(
        f'{pad}<i name="{name}">{fixed(energy, 16, 8)} </i>\n' for name, energy in names.items()
    )


def ionic(scene: Scene, structure: Structure, answer: Answer, cpu: float, *, levels: bool) -> str:
    """What follows the electronic cycles of an ionic step, with or without eigenvalues."""
    stress = ""
    if answer.stress is not None:
        tensor = -KBAR * answer.stress[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        stress = _varray("stress", tensor, 2)
    # VASP 5 writes E0 in the place of the energy without entropy, and the entropy in that of E0
    old = (answer.free, answer.zero, -answer.entropy)
    energies = old if scene.switches.number < (6,) else (answer.free, answer.bare, answer.zero)
    return (
        f"{_structure(structure, '', indent=2)}{_varray('forces', answer.forces, 2)}{stress}"
        f"  <energy>\n{_energies(*energies, 3)}  </energy>\n"
        f'  <time name="totalsc">{cpu:8.2f}{cpu:8.2f}</time>\n'
        + (bands.levels(scene) if levels else "")
        + " </calculation>\n"
    )


def tail(structure: Structure) -> str:
    """The end."""
    return _structure(structure, "finalpos", indent=1) + "</modeling>\n"
