"""A report read back, without a browser."""

from __future__ import annotations

import base64
import gzip
import json
from html.parser import HTMLParser
from typing import Any


class Blocks(HTMLParser):
    """The scripts of a page by their id, and its meta elements, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.tags: list[str] = []
        self.meta: dict[str, str] = {}
        self._open: dict[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        held = dict(attrs)
        if tag == "script":
            self._open = held
            self.scripts.append((held, ""))
        if tag == "meta":
            name = held.get("name") or held.get("http-equiv") or "charset"
            self.meta[name] = held.get("content") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            held, before = self.scripts[-1]
            self.scripts[-1] = (held, before + data)

    def block(self, name: str) -> str:
        (found,) = [text for held, text in self.scripts if held.get("id") == name]
        return found

    @property
    def code(self) -> list[str]:
        return [text for held, text in self.scripts if "type" not in held]

    @property
    def study(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.block("study"))
        return content

    @property
    def rows(self) -> list[dict[str, Any]]:
        return decoded(json.loads(self.block("rows")))

    def details(self, index: int) -> dict[str, Any]:
        return unpacked(self.block(f"d{index}"))


def decoded(held: dict[str, Any]) -> list[dict[str, Any]]:
    """What the page's own script makes of the columns."""
    values = {
        name: column
        if isinstance(column, list)
        else [None if at < 0 else column["words"][at] for at in column["at"]]
        for name, column in held.items()
    }
    return [dict(zip(values, each, strict=True)) for each in zip(*values.values(), strict=True)]


def unpacked(text: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(text)))
    return content
