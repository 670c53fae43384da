"""Rules that values of many specs share."""

from __future__ import annotations

from numbers import Integral


def check_integer(name: str, value: object) -> None:
    """Refuse what is no whole number; a truth value is none.

    Raises
    ------
    TypeError
        With the name.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` is {value!r} but must be an integer")


def check_integers(spec: object, *names: str) -> None:
    """Refuse fields of a spec that hold no whole number.

    Raises
    ------
    TypeError
        Naming the field.
    """
    for name in names:
        check_integer(name, getattr(spec, name))
