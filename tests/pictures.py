"""Looking at a figure as a reader does: which texts are on the page, and whether they can be read."""

from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis import style


def texts(figure: Figure) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Every text that is drawn, with its box (left, bottom, right, top) in inches."""
    found: list[Text] = []
    draw = Text.draw

    def noted(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            found.append(self)
        return draw(self, renderer, *args, **kwargs)

    Text.draw = noted
    try:
        with style.style():
            if figure.get_layout_engine() is not None:
                figure.canvas.draw()  # it settles
                found.clear()
            figure.canvas.draw()
            renderer = figure.canvas.get_renderer()
            boxes = [text.get_window_extent(renderer) for text in dict.fromkeys(found)]
    finally:
        Text.draw = draw
    dpi = figure.dpi
    return [
        (text.get_text(), (box.x0 / dpi, box.y0 / dpi, box.x1 / dpi, box.y1 / dpi))
        for text, box in zip(dict.fromkeys(found), boxes, strict=True)
    ]


def assert_readable(figure: Figure) -> dict[str, tuple[float, float, float, float]]:
    """Assert that every text lies on the page and that no two overlap; gives their boxes by text."""
    found = texts(figure)
    width, height = figure.get_size_inches()
    for text, (left, bottom, right, top) in found:
        outside = max(-left, -bottom, right - width, top - height)
        assert outside <= 0, f"{text!r} leaves the page"
    for (one, a), (other, b) in combinations(found, 2):
        across, upwards = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        assert across <= 0.005 or upwards <= 0.005, f"{one!r} and {other!r} overlap"
    return dict(found)
