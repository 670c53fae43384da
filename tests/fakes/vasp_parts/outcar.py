"""OUTCAR."""

from __future__ import annotations

import resource
import time

import numpy as np

from .engine import Answer
from .fortran import fixed, logical, row, scientific
from .scene import MOMENT, Scene
from .scf import Cycle
from .structure import Structure

RULE = "-" * 104
BREAK = f"\n\n{RULE}\n\n\n"
KBAR = 1602.1766208
"""One eV/Å³."""


def head(scene: Scene) -> str:
    """Everything before the first electronic cycle."""
    switches, structure, job = scene.switches, scene.structure, scene.job
    echo = scene.incar.tags.items() if switches.number >= (6,) else ()
    titles = [f" POTCAR:    {one.title}\n" for one in scene.species]
    return "".join(
        [
            f" vasp.{switches.version} {switches.build}".ljust(81) + "\n",
            f" executed on             LinuxIFC date {scene.started:%Y.%m.%d  %H:%M:%S}\n",
            f" running on {scene.cores:4d} total cores\n",
            f" distrk:  each k-point on {scene.cores:4d} cores,    1 groups\n",
            f" {switches.sentence}\n",
            BREAK,
            " INCAR:\n",
            *(f"   {name} = {value}\n" for name, value in echo),
            "\n",
            *titles,
            *(_data_set(scene, index) for index in range(len(titles))),
            BREAK,
            _dimensions(scene),
            _parameters(scene),
            BREAK,
            {
                11: " interactive mode, write forces and read positions\n",
                -1: " static calculation\n",
            }.get(job.ibrion, " conjugate gradient relaxation of ions\n"),
            " spin polarized calculation\n"
            if scene.polarized
            else " non-spin polarized calculation\n",
            BREAK,
            _cell(structure),
            _k_table(scene),
            " position of ions in fractional coordinates (direct lattice) \n",
            *(row(position, 13, 8).replace(" ", "", 2) + "\n" for position in structure.positions),
            "\n position of ions in cartesian coordinates  (Angst):\n",
            *(row(position, 13, 8).replace(" ", "", 2) + "\n" for position in structure.cartesian),
            BREAK,
            *(
                f" k-point {number:3d} : {row(point, 9, 4)}  plane waves: {4096:7d}\n"
                for number, point in enumerate(scene.kpoints.points, 1)
            ),
            f"\n maximum and minimum number of plane-waves per node : {4096:9d}{4096:9d}\n",
            BREAK,
        ]
    )


def _data_set(scene: Scene, index: int) -> str:
    one = scene.species[index]
    return (
        f" POTCAR:    {one.title}\n   VRHFIN ={one.symbol}: stand-in\n   LEXCH  = PE\n"
        f"   TITEL  = {one.title}\n"
        f"   POMASS = {one.mass:8.3f}; ZVAL   = {one.valence:8.3f}    mass and valenz\n\n"
    )


def _dimensions(scene: Scene) -> str:
    points, counts = len(scene.kpoints.points), scene.structure.counts
    return (
        " Dimension of arrays:\n"
        f"   k-points           NKPTS = {points:6d}   k-points in BZ     NKDIM = {points:6d}"
        f"   number of bands    NBANDS= {scene.bands:6d}\n"
        f"   number of dos      NEDOS =    301   number of ions     NIONS = {sum(counts):6d}\n"
        "   total plane-waves  NPLWV =  32768\n"
        "   dimension x,y,z NGX =    32 NGY =   32 NGZ =   32\n"
        "   dimension x,y,z NGXF=    64 NGYF=   64 NGZF=   64\n"
        f"   ions per type =            {''.join(f'{count:4d}' for count in counts)}\n\n"
        f" SYSTEM =  {scene.incar.text('SYSTEM', 'unknown system')}\n"
        f" POSCAR =   {scene.structure.comment}\n\n"
    )


def _parameters(scene: Scene) -> str:
    job, incar = scene.job, scene.incar
    cutoff = incar.real("ENCUT", 400.0)
    return (
        " Startparameter for this run:\n"
        f"   ISTART = {int(scene.warm):6d}    job   : 0-new  1-cont  2-samecut\n"
        f"   ICHARG = {0 if scene.warm else 2:6d}    charge: 1-file 2-atom 10-const\n"
        f"   ISPIN  = {job.ispin:6d}    spin polarized calculation?\n"
        "   LNONCOLLINEAR =      F non collinear calculations\n"
        "   LSORBIT =      F    spin-orbit coupling\n\n"
        " Electronic Relaxation 1\n"
        f"   ENCUT  = {cutoff:6.1f} eV  {cutoff / 13.605698:5.2f} Ry\n"
        f"   NELM   = {job.nelm:6d};   NELMIN= {job.nelmin:2d};"
        f" NELMDL={0 if scene.warm else -5:3d}     # of ELM steps \n"
        f"   EDIFF  = {scientific(job.ediff, 7, 1)}   stopping-criterion for ELM\n"
        " Ionic relaxation\n"
        f"   EDIFFG = {scientific(job.ediffg, 7, 1)}   stopping-criterion for IOM\n"
        f"   NSW    = {job.nsw:6d}    number of steps for IOM\n"
        f"   IBRION = {job.ibrion:6d}    ionic relax: 0-MD 1-quasi-New 2-CG\n"
        f"   ISIF   = {job.isif:6d}    stress and relaxation\n"
        f"   ISYM   = {incar.integer('ISYM', 2):6d}    0-nonsym 1-usesym 2-fastsym\n"
        f"   POTIM  = {job.potim:6.4f}    time-step for ionic-motion\n\n"
        f"   NELECT = {scene.electrons:12.4f}    total number of electrons\n"
        f"   ISMEAR = {incar.integer('ISMEAR', 1):5d};   SIGMA  = {incar.real('SIGMA', 0.2):6.2f}"
        "  broadening in eV -4-tet -1-fermi 0-gaus\n"
        f"   LWAVE        = {logical(job.lwave):>6}    write WAVECAR\n"
        f"   LCHARG       = {logical(job.lcharg):>6}    write CHGCAR\n"
        f"   LORBIT       = {job.lorbit:6d}    0 simple, 1 ext, 2 COOP (PROOUT)\n"
        "   LEPSILON=     F    determine dielectric tensor\n"
        "   LCHIMAG   =     F  perturbation theory with respect to B field\n"
    )


def _cell(structure: Structure) -> str:
    pairs = zip(structure.cell, structure.reciprocal, strict=True)
    return (
        f"  volume of cell : {fixed(structure.volume, 11, 2)}\n"
        "      direct lattice vectors                 reciprocal lattice vectors\n"
        + "".join(f"   {row(one, 13, 9)[2:]}    {row(two, 13, 9)[2:]}\n" for one, two in pairs)
        + "\n"
    )


def _k_table(scene: Scene) -> str:
    pairs = zip(scene.kpoints.points, scene.kpoints.weights, strict=True)
    lines = "".join(f"{row(point, 12, 8)[1:]}{fixed(weight, 12, 3)}\n" for point, weight in pairs)
    return f" k-points in reciprocal lattice and weights: {scene.kpoints.comment}\n{lines} \n"


def cycle(
    scene: Scene, step: int, one: Cycle, energies: tuple[float, float, float], cpu: float
) -> str:
    """One electronic cycle, with F, the energy without entropy and E0 in eV."""
    free, bare, zero = energies
    moment = fixed(MOMENT, 16, 7) if scene.polarized else " "
    change = scientific(one.change, 14, 7)
    return (
        f"{'-' * 39} Iteration {step:6d}({one.number:4d})  {'-' * 39}\n\n\n"
        f"     EDDAV:  cpu time {cpu:10.4f}: real time {cpu:10.4f}\n"
        f"      LOOP:  cpu time {cpu:10.4f}: real time {cpu:10.4f}\n\n"
        f" total energy-change (2. order) :{change}  ({change})\n"
        f" number of electron {scene.electrons:15.7f} magnetization {moment}\n\n"
        " Free energy of the ion-electron system (eV)\n"
        "  ---------------------------------------------------\n"
        f"  entropy T*S    EENTRO = {free - zero:19.8f}\n"
        f"  free energy    TOTEN  = {free:19.8f} eV\n\n"
        f"  energy without entropy = {bare:18.8f}  energy(sigma->0) = {zero:18.8f}\n{BREAK}\n\n"
    )


def ended(why: str) -> str:
    """Why the electronic cycles ended."""
    return f"{'-' * 24} aborting loop because {why} {'-' * 40}\n\n\n"


def ionic(scene: Scene, structure: Structure, answer: Answer) -> str:
    """Forces and energies of one ionic step."""
    table = zip(structure.cartesian, answer.forces, strict=False)
    moments = _moments(scene) if scene.job.lorbit >= 10 else ""
    zero = fixed(0.0, 8, 4)
    drift = np.nan_to_num(answer.forces).sum(axis=0)
    rule = " " + "-" * 83 + "\n"
    return (
        f" E-fermi : {zero}     XC(G=0): {zero}     alpha+bet :{zero}\n\n"
        + moments
        + (_stress(answer.stress) if answer.stress is not None else "")
        + " VOLUME and BASIS-vectors are now :\n "
        + "-" * 77
        + "\n"
        + _cell(structure)
        + " POSITION                                       TOTAL-FORCE (eV/Angst)\n"
        + rule
        + "".join(f"{row(place, 13, 5)}   {row(force, 14, 6)}\n" for place, force in table)
        + rule
        + f"    total drift:{'':26}{row(drift, 14, 6)}\n"
        + BREAK
        + "\n  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n"
        "  ---------------------------------------------------\n"
        f"  free  energy   TOTEN  = {answer.free:19.8f} eV\n\n"
        f"  energy  without entropy={answer.bare:19.8f}  energy(sigma->0) ={answer.zero:19.8f}\n \n"
        + BREAK
    )


def _stress(stress: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    pressures = -KBAR * stress[[0, 1, 2, 5, 3, 4]]
    return (
        "  FORCE on cell =-STRESS in cart. coord.  units (eV):\n"
        "  Direction    XX          YY          ZZ          XY          YZ          ZX\n"
        f"  in kB   {row(pressures, 12, 5)}\n"
        f"  external pressure = {fixed(pressures[:3].mean(), 11, 2)} kB"
        "  Pullay stress =        0.00 kB\n\n\n"
    )


def _moments(scene: Scene) -> str:
    text, counts = "", range(1, len(scene.structure) + 1)
    share = {" total charge": scene.electrons, " magnetization (x)": MOMENT}
    for title, total in share.items() if scene.polarized else list(share.items())[:1]:
        each = [total / len(scene.structure), 0.0, 0.0, total / len(scene.structure)]
        rows = "".join(f"{n:5d}    {row(each, 8, 3)}\n" for n in counts)
        text += (
            f"\n\n{title}\n\n# of ion       s       p       d       tot\n{'-' * 42}\n"
            f"{rows}{'-' * 50}\n"
            f"tot      {row([total, 0.0, 0.0, total], 8, 3)}\n\n"
        )
    return text


def loop_end(cpu: float, real: float) -> str:
    """The time that an ionic step took, in seconds."""
    return f"     LOOP+:  cpu time {cpu:11.4f}: real time {real:11.4f}\n\n\n"


def tail(began: float) -> str:
    """The end; `began` is a time of `time.monotonic`."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (
        "\n\n General timing and accounting informations for this job:\n"
        " ========================================================\n  \n"
        f"                  Total CPU time used (sec): {used.ru_utime + used.ru_stime:12.3f}\n"
        f"                            User time (sec): {used.ru_utime:12.3f}\n"
        f"                          System time (sec): {used.ru_stime:12.3f}\n"
        f"                         Elapsed time (sec): {time.monotonic() - began:12.3f}\n  \n"
        f"                   Maximum memory used (kb): {used.ru_maxrss:11d}.\n"
        "                   Average memory used (kb):          N/A\n"
    )
