"""Electronic levels, as far as readers of vasprun.xml insist on them: a gap round zero."""

from __future__ import annotations

from .fortran import fixed, row
from .scene import Scene

SPACING = 0.2
"""eV between levels."""


def levels(scene: Scene) -> str:
    """Eigenvalues, the same at all points, and a density of states."""
    filled = int(scene.electrons / 2)
    energies = [SPACING * (band - filled + 0.5) for band in range(scene.bands)]
    lines = "".join(
        f"       <r>{fixed(energy, 11, 4)}{fixed(float(energy < 0), 9, 4)} </r>\n"
        for energy in energies
    )
    points = "".join(
        f'      <set comment="kpoint {number}">\n{lines}      </set>\n'
        for number in range(1, len(scene.kpoints.points) + 1)
    )
    names = '    <dimension dim="{}">{}</dimension>\n'
    eigenvalues = (
        "  <eigenvalues>\n   <array>\n"
        + "".join(names.format(n, name) for n, name in enumerate(("band", "kpoint", "spin"), 1))
        + "    <field>eigene</field>\n    <field>occ</field>\n"
        f"    <set>\n{_spins(scene, points)}    </set>\n   </array>\n  </eigenvalues>\n"
    )
    table = "".join(
        f"       <r>{row([energy, 2 / scene.job.ispin / SPACING, 0.0], 11, 4)} </r>\n"
        for energy in energies
    )
    return (
        f'{eigenvalues}  <dos>\n   <i name="efermi">{fixed(0.0, 16, 8)} </i>\n   <total>\n'
        "    <array>\n     <field>energy</field>\n     <field>total</field>\n"
        f"     <field>integrated</field>\n     <set>\n{_spins(scene, table)}     </set>\n"
        "    </array>\n   </total>\n  </dos>\n"
    )


def _spins(scene: Scene, text: str) -> str:
    return "".join(
        f'     <set comment="spin {number}">\n{text}     </set>\n'
        for number in range(1, scene.job.ispin + 1)
    )
