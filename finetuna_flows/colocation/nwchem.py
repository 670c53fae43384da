"""NWChem's input file for `IpiParentSpec`, with what its i-PI driver needs."""

from __future__ import annotations

from collections.abc import Mapping

from ase.calculators.nwchem import NWChem

NEEDED: Mapping[str, object] = {
    "task": "optimize",
    "center": False,
    "autosym": False,
    "autoz": False,
}
"""``nocenter noautosym noautoz`` of the geometry: NWChem would turn and move the molecule, and
force its symmetry on what it is sent. The optimizer is what has the driver."""
GEOMETRIES = 1_000_000
"""That the driver takes at most; its own default is 20."""


def nwchem(socket: str, **settings: object) -> NWChem:
    """Make the calculator that writes ``nwchem.nwi``.

    Parameters
    ----------
    socket
        ``{name}``, which becomes the name of the socket: NWChem reads it in its input file.
    settings
        Of `ase.calculators.nwchem.NWChem`: ``theory``, ``basis``, ``dft``, ``charge`` and others.

    Raises
    ------
    ValueError
        If a setting contradicts a label.
    """
    for key, value in NEEDED.items():
        said = settings.get(key, value)
        if said != value:
            raise ValueError(f"`{key}` is {said!r} but a label needs {value!r}; leave it out")
    parts = str(settings.get("geompar", "")).lower().split()
    doubled = [each for each in ("center", "autosym", "autoz") if each in parts]
    if doubled:
        raise ValueError(f"`geompar` has {doubled[0]} but a label needs no{doubled[0]}")
    if "symmetry" in settings:
        raise ValueError(
            f"`symmetry` is {settings['symmetry']!r}, which would be forced on every geometry; "
            "leave it out"
        )
    driver = settings.get("driver", {})
    if not isinstance(driver, Mapping) or "socket" in driver:
        raise ValueError(f"`driver` is {driver!r} but must be entries without socket")
    driver = {"maxiter": GEOMETRIES, **driver, "socket": {"unix": socket}}
    return NWChem(**{**settings, **NEEDED, "driver": driver})
