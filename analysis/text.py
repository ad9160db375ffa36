"""Text in pictures, from anywhere: made printable, measured, and broken into lines that have room."""

import unicodedata
import warnings
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

POINTS = 72  # to an inch
SLACK = 1.03  # how much wider than its outlines a text can become where glyphs are fitted to pixels
LINE = 1.45  # distance of two lines and height of one, in font sizes


def printable(text: str) -> str:
    """The text in one line, without what has no glyph: control characters, halves of characters, bytes of no encoding.

    White space becomes single spaces; everything else that cannot be printed becomes U+FFFD.
    """
    text = " ".join(text.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cs", "Cn") else c for c in text)


@lru_cache(maxsize=10_000)
def width(text: str, points: float, bold: bool = False) -> float:
    """Inches that one line of text takes at a font size."""
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=points)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        return SLACK * text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / POINTS


def height(text: str, points: float) -> float:
    """Inches that the lines of a text take at a font size."""
    return (text.count("\n") + 1) * LINE * points / POINTS


def wrapped(text: str, room: float, points: float, bold: bool = False, lines: int = 3) -> str:
    """The text, printable, in lines of at most `room` inches, broken between words and in words that are too long.

    What has no place in so many lines is left out, and an ellipsis stands for it.
    """
    made: list[str] = []
    rest = printable(text)
    while rest and len(made) < lines:
        end = _fitting(rest, room, points, bold)
        if end < len(rest):
            space = rest.rfind(" ", 0, end + 1)
            end = space if space > 0 else end
        made.append(rest[:end])
        rest = rest[end:].lstrip()
    if rest:
        last, more = made[-1], "\N{HORIZONTAL ELLIPSIS}"
        made[-1] = last[: _fitting(last, room, points, bold, more)] + more
    return "\n".join(made)


def _fitting(text: str, room: float, points: float, bold: bool, more: str = "") -> int:
    """How many characters of a text have room, at least one; before `more` perhaps none. Each takes a sixth of the font
    size at the least.
    """
    low, high = 0 if more else 1, min(len(text), 1 + int(6 * room * POINTS / points)) if room > 0 else 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle] + more, points, bold) <= room else (low, middle - 1)
    return low
