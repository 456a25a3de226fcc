"""Small parts of SVG: numbers, elements, wrapped text. Colours and fonts are classes of `style.css`, since the pages allow no inline style."""

from __future__ import annotations

import textwrap
from html import escape


def element(name: str, content: str = "", **attributes: float | str) -> str:
    """Return an SVG element; `content` is markup already, attribute values are escaped, `class_` and `text_anchor` lose their underscore."""
    pairs = "".join(f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for key, value in attributes.items())
    return f"<{name}{pairs}>{content}</{name}>" if content else f"<{name}{pairs}/>"


def text(words: str, x: float, y: float, **attributes: float | str) -> str:
    """Return a line of text at (x, y)."""
    return element("text", escape(words), x=x, y=y, **attributes)


def wrap(words: str, width: int, *, lines: int) -> list[str]:
    """Return words as at most so many lines of so many characters, the last one ending in `…` where something is left out."""
    return textwrap.wrap(words, width, max_lines=lines, placeholder=" …") or [""]


def _attribute(value: float | str) -> str:
    return escape(value, quote=True) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
