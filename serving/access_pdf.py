"""The document as a PDF, the same bytes for the same data and time, in a font that has every letter of Europe's languages."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from serving.access_document import Block, Document

if TYPE_CHECKING:
    from fpdf import FPDF

_FAMILY = "DejaVu"
_FILES = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
_ELSEWHERE = (Path("/usr/share/fonts/truetype/dejavu"), Path("/usr/share/fonts/dejavu"), Path("/usr/share/fonts/TTF"))
"""Where systems keep the font, for servers without matplotlib."""
_TEXT, _SMALL, _LINE, _SMALL_LINE = 10, 8.5, 5.2, 4.4
_MANY = 40
"""So many items of a list are written small."""
_LONGEST_CELL = 900
"""Letters of a cell beyond which a row might not fit on a page: such a table is written as sentences."""
_NARROWEST, _WIDEST = 9, 120
"""Letters of a column's longest cell that count for its width, at least and at most."""


class PdfError(RuntimeError):
    """No PDF can be made here; the message says what is missing."""


def pdf(document: Document) -> bytes:
    """Return the PDF. Raises PdfError where its library or its font is not installed."""
    made = _opened(document)
    made.add_page()
    made.set_font(_FAMILY, "B", 18)
    made.multi_cell(0, 8.5, document.title, new_x="LMARGIN", new_y="NEXT", align="L")
    made.ln(2)
    _sentences(made, document.sentences)
    for section in document.sections:
        _heading(made, section.heading, 13, before=6)
        for block in section.blocks:
            _block(made, block)
    return bytes(made.output())


def font_folder() -> Path:
    """Return the folder with the font: that of matplotlib, which is not imported for it, or the system's. Raises PdfError."""
    found = importlib.util.find_spec("matplotlib")
    beside = [] if found is None or found.origin is None else [Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"]
    for folder in (*beside, *_ELSEWHERE):
        if all((folder / name).is_file() for name in _FILES.values()):
            return folder
    raise PdfError("the font DejaVu Sans is not installed here: install it (fonts-dejavu-core), or ask for html")


def _opened(document: Document) -> FPDF:
    try:
        from fpdf import FPDF  # noqa: PLC0415 - it takes a moment to import, and only this needs it
    except ImportError:
        raise PdfError("fpdf2 is not installed here: ask for html") from None
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    logging.getLogger("fpdf").setLevel(logging.ERROR)  # it warns of letters that the font has not, and they are the person's

    class Numbered(FPDF):
        def footer(self) -> None:
            self.set_y(-12)
            self.set_font(_FAMILY, "", 8)
            self.cell(0, 5, f"{self.page_no()}", align="C")

    made = Numbered(format="A4")
    folder = font_folder()
    for style, name in _FILES.items():
        made.add_font(_FAMILY, style, folder / name)
    made.set_margins(18, 18, 18)
    made.set_auto_page_break(auto=True, margin=18)
    made.set_creation_date(document.made_at)
    made.set_title(document.title)
    made.set_lang(document.language)
    made.set_author("")
    made.set_producer("audience")
    return made


def _heading(made: FPDF, words: str, size: float, *, before: float) -> None:
    if made.will_page_break(before + 3 * _LINE):
        made.add_page()
    else:
        made.ln(before)
    made.set_font(_FAMILY, "B", size)
    made.multi_cell(0, size * 0.5, words, new_x="LMARGIN", new_y="NEXT", align="L")
    made.ln(1)


def _sentences(made: FPDF, sentences: Sequence[str]) -> None:
    made.set_font(_FAMILY, "", _TEXT)
    for words in sentences:
        made.multi_cell(0, _LINE, words, new_x="LMARGIN", new_y="NEXT", align="L")
        made.ln(0.8)


def _block(made: FPDF, block: Block) -> None:
    if block.heading:
        _heading(made, block.heading, 10.5, before=3)
    _sentences(made, block.sentences)
    made.set_font(_FAMILY, "", _SMALL if len(block.items) > _MANY else _TEXT)
    line = _SMALL_LINE if len(block.items) > _MANY else _LINE
    for item in block.items:
        made.set_x(made.l_margin + 2)
        made.cell(4, line, "\N{BULLET}")
        made.multi_cell(0, line, item, new_x="LMARGIN", new_y="NEXT", align="L")
    if block.rows and max(len(words) for cells in block.rows for words in cells) > _LONGEST_CELL:
        _sentences(made, [" \N{MIDDLE DOT} ".join(filter(None, cells)) for cells in block.rows])
    elif block.rows:
        _rows(made, block)
    _sentences(made, block.closing)
    made.ln(1)


def _rows(made: FPDF, block: Block) -> None:
    made.set_font(_FAMILY, "", _SMALL)
    with made.table(
        col_widths=_widths(block),
        line_height=_SMALL_LINE,
        v_align="TOP",
        padding=(1, 1.5, 1, 0),
        text_align="LEFT",
        borders_layout="HORIZONTAL_LINES",
    ) as table:
        for cells in (tuple(f"{words[:1].upper()}{words[1:]}" for words in block.columns), *block.rows):
            row = table.row()
            for words in cells:
                row.cell(words)


def _widths(block: Block) -> tuple[float, ...]:
    """Return how wide the columns of a table are against each other: by the root of their longest cell, so that long texts get room and short ones keep it."""
    longest = (max(len(cells[place]) for cells in (block.columns, *block.rows)) for place in range(len(block.columns)))
    return tuple(min(max(letters, _NARROWEST), _WIDEST) ** 0.5 for letters in longest)
