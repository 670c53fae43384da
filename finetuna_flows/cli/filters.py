"""The options by which `list` and `export` choose relaxations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Annotated, Any, cast

import typer

from finetuna_flows.reasons import Integrity, StopReason
from finetuna_flows.results.filters import SORTS, Filters

DATES = ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
LOCAL = "local time, as in 2026-11-01 or 2026-11-01T08:30; a date is its first moment"
Text = str | None
OPTIONS: dict[str, Any] = {
    "formula": Annotated[Text, typer.Option(help="Of the whole structure, in any form.")],
    "chemsys": Annotated[Text, typer.Option(help="Its elements and no others, as in Cu-O.")],
    "elements": Annotated[
        list[str] | None, typer.Option("--element", help="It has this one; repeatable.")
    ],
    "adsorbate": Annotated[Text, typer.Option(help="Its formula in any form, as in CH3O, *OCH3.")],
    "system": Annotated[Text, typer.Option(help="What the structure is called.")],
    "name": Annotated[Text, typer.Option(help="As in the table: what --method said, as in fast.")],
    "method": Annotated[Text, typer.Option(help="As show tells: online for every preset.")],
    "parent_mode": Annotated[Text, typer.Option(help="cold, restart or kept.")],
    "level_of_theory": Annotated[Text, typer.Option(help="Of the parent, as show tells.")],
    "converged": Annotated[bool | None, typer.Option("--converged/--unconverged")],
    "integrity": Annotated[
        Integrity | None, typer.Option(help="What became of the adsorbate.", show_choices=True)
    ],
    "stop_reason": Annotated[StopReason | None, typer.Option(help="Why it ended.")],
    "max_fmax": Annotated[float | None, typer.Option(help="eV/Å; largest force at the end.")],
    "min_fmax": Annotated[float | None, typer.Option(help="eV/Å; least force at the end.")],
    "tag": Annotated[Text, typer.Option(help="One of the tags.")],
    "since": Annotated[
        datetime | None,
        typer.Option(
            formats=DATES, metavar="TIME", help=f"Completed at this time or later ({LOCAL})."
        ),
    ],
    "until": Annotated[
        datetime | None,
        typer.Option(formats=DATES, metavar="TIME", help="Completed before this time."),
    ],
}
"""One for each of `Filters`."""
Sort = Annotated[
    str,
    typer.Option(help=f"{', '.join(SORTS)}; with a minus before it, highest first."),
]
Skip = Annotated[int, typer.Option(min=0, help="Leave so many out at the beginning.")]
Limit = Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")]


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Filters`; it takes what was said as its first argument."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        *(
            inspect.Parameter(name, keyword, default=None, annotation=OPTIONS[name])
            for name in OPTIONS
        ),
        *(each.replace(kind=keyword) for each in own),
    ]

    @wraps(command)
    def run(**words: Any) -> None:
        filters = cast("Filters", {name: words.pop(name) for name in OPTIONS})
        command(filters, **words)

    del run.__wrapped__
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect's own
    return run
