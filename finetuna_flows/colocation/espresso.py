"""Quantum ESPRESSO's input files for `IpiParentSpec`, with what its i-PI driver needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ase.calculators.espresso import Espresso, EspressoProfile

NEEDED = {"calculation": "scf", "tprnfor": True, "nosym": True, "tstress": False}
"""``nosym``: pw.x (6.7) finds the symmetry of its input file and imposes it on every geometry that
it is sent."""
DEFAULTS = {"outdir": ".", "disk_io": "low", "occupations": "smearing", "smearing": "mv"}


def espresso(
    pseudo_dir: str,
    pseudopotentials: Mapping[str, str],
    input_data: Mapping[str, object],
    kpts: tuple[int, int, int] | None = None,
) -> Espresso:
    """Make the calculator that writes ``espresso.pwi``.

    Parameters
    ----------
    pseudo_dir
        Folder of the pseudopotentials.
    pseudopotentials
        File by chemical symbol.
    input_data
        Namelist entries of pw.x, by namelist or not; ``ecutwfc`` (Ry) at least.
    kpts
        Monkhorst-Pack grid; None: Γ.

    Raises
    ------
    ValueError
        If an entry contradicts a label.
    """
    input_data = dict(_entries(input_data))
    for key, value in NEEDED.items():
        said = input_data.get(key, value)
        if said != value:
            raise ValueError(f"`input_data` has {key} = {said!r} but a label needs {value!r}")
    if "ecutwfc" not in input_data:
        raise ValueError("`input_data` lacks ecutwfc, the cutoff of the plane waves in Ry")
    return Espresso(
        profile=EspressoProfile("pw.x", pseudo_dir),  # what starts it says the command
        pseudopotentials=dict(pseudopotentials),
        input_data={**DEFAULTS, **input_data, **NEEDED},
        kpts=kpts,
    )


def _entries(said: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Those of all namelists, if they are sorted into such."""
    for key, value in said.items():
        if isinstance(value, Mapping):
            yield from _entries(value)
        else:
            yield key.lower(), value
