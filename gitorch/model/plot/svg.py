"""Plots as SVG, without a library.

Text has the colour of its surroundings (`currentColor`). The colours of the curves have a contrast
of more than 3 to 1 with white and with a dark grey, so that one picture fits both schemes. Within
a page there is no style element, since the policy of a page may forbid inline styles.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gitorch.model.plot.axis import Axis
from gitorch.model.plot.curves import Curve, Panel, segments

COLORS = (
    *("#2f7fd0", "#d1600a", "#2d9348", "#cf4a83"),
    *("#8a63d2", "#128a92", "#9a7700", "#d9453f"),
)
# Curves with the same colour differ in their dashes.
_DASHES = ("", "6 3", "2 2", "8 3 2 3")
WIDTH = 720
_HEIGHT = 320  # of one panel without its legend
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 32, 44
_LINE = 18  # height of a line of the legend
_STYLE_OF_FILE = (
    "<style>@media (prefers-color-scheme: dark) { svg { color: #e6e6e6 } }</style>"
)
_MOST_LABELS = 20
_LONGEST_LABEL = 60  # characters
# Characters that XML forbids, and those that change the direction of the text around them.
_UNSHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escaped(text: str) -> str:
    """Return a text for the content, or for an attribute, of an element of XML."""
    return re.sub(
        '[&<>"]', lambda match: _ENTITIES[match[0]], _UNSHOWN.sub("", text)
    )


def draw(
    panels: Sequence[Panel],
    *,
    log_x: bool = False,
    log_y: bool = False,
    width: int = WIDTH,
    is_file: bool = False,
) -> str:
    """Return one picture with the panels below each other, as an `svg` element.

    A picture that is a file by itself has light text in a dark scheme.
    """
    drawn = []
    top = 0
    for panel in panels:
        body, height = _panel(panel, log_x=log_x, log_y=log_y, width=width)
        drawn.append(f'<g transform="translate(0 {top})">{body}</g>')
        top += height
    names = escaped(", ".join(panel.title for panel in panels))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" '
        f'width="{width}" height="{top}" role="img" aria-label="{names}" '
        'fill="currentColor" font-size="12" font-family="system-ui, sans-serif">'
    )
    style = _STYLE_OF_FILE if is_file else ""
    return f"{head}{style}{''.join(drawn)}</svg>\n"


def _panel(
    panel: Panel, *, log_x: bool, log_y: bool, width: int
) -> tuple[str, int]:
    """Return the elements of a panel, and its height."""
    parts = []
    for curve in panel.curves:
        parts.append(segments(curve.points, log_x=log_x, log_y=log_y))
    points = [point for of_curve in parts for part in of_curve for point in part]
    x_axis = Axis.of([x for x, _ in points], is_log=log_x, ticks=width // 90)
    y_axis = Axis.of([y for _, y in points], is_log=log_y, ticks=6)
    frame = _Frame(x_axis, y_axis, width)
    elements = [
        f'<text x="{_LEFT}" y="20" font-weight="600">{escaped(panel.title)}</text>',
        *frame.grid(panel.x_label),
    ]
    for number, (curve, of_curve) in enumerate(
        zip(panel.curves, parts, strict=True)
    ):
        elements.append(frame.curve(curve, of_curve, number))
    legend, rows = _legend(panel.curves)
    elements += legend
    return "".join(elements), _HEIGHT + rows * _LINE + 8


class _Frame:
    """The place of the curves within a panel."""

    def __init__(self, x_axis: Axis, y_axis: Axis, width: int) -> None:
        self._x_axis = x_axis
        self._y_axis = y_axis
        self._right = width - _RIGHT
        self._bottom = _HEIGHT - _BOTTOM

    def x(self, value: float) -> float:
        return _LEFT + self._x_axis.share(value) * (self._right - _LEFT)

    def y(self, value: float) -> float:
        return self._bottom - self._y_axis.share(value) * (self._bottom - _TOP)

    def grid(self, x_label: str) -> list[str]:
        """Return the lines and the texts of the axes."""
        elements = []
        for tick in self._y_axis.ticks:
            y = f"{self.y(tick.value):.1f}"
            elements.append(
                f'<path d="M{_LEFT} {y}H{self._right}" stroke="currentColor" '
                'stroke-opacity=".15"/>'
                f'<text x="{_LEFT - 8}" y="{y}" dy=".35em" text-anchor="end">'
                f"{_shown_number(tick.label)}</text>"
            )
        for tick in self._x_axis.ticks:
            x = f"{self.x(tick.value):.1f}"
            elements.append(
                f'<path d="M{x} {self._bottom}v5" stroke="currentColor"/>'
                f'<text x="{x}" y="{self._bottom + 18}" text-anchor="middle">'
                f"{_shown_number(tick.label)}</text>"
            )
        middle = (_LEFT + self._right) / 2
        elements.append(
            f'<path d="M{_LEFT} {self._bottom}H{self._right}" stroke="currentColor"/>'
            f'<text x="{middle:g}" y="{self._bottom + 36}" text-anchor="middle">'
            f"{escaped(x_label)}</text>"
        )
        return elements

    def curve(
        self,
        curve: Curve,
        parts: Sequence[Sequence[tuple[float, float]]],
        number: int,
    ) -> str:
        """Return the path of a curve. A point between two gaps is a dot."""
        path = []
        for part in parts:
            places = [f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in part]
            if len(places) == 1:
                places *= 2  # with round ends, a line of no length is a dot
            path.append("M" + "L".join(places))
        return (
            f'<path d="{"".join(path)}" fill="none" {_stroke(number)}>'
            f"<title>{escaped(curve.label)}</title></path>"
        )


def _stroke(number: int) -> str:
    dashes = _DASHES[number // len(COLORS) % len(_DASHES)]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    color = COLORS[number % len(COLORS)]
    return (
        f'stroke="{color}" stroke-width="1.5" stroke-linejoin="round" '
        f'stroke-linecap="round"{dashed}'
    )


def _legend(curves: Sequence[Curve]) -> tuple[list[str], int]:
    """Return a line for each label, and the number of lines. Too many labels are counted."""
    elements = []
    y = _HEIGHT + 4
    for number, curve in enumerate(curves[:_MOST_LABELS]):
        label = curve.label
        if len(label) > _LONGEST_LABEL:
            label = f"{label[:_LONGEST_LABEL]}…"
        elements.append(
            f'<path d="M{_LEFT} {y}h24" {_stroke(number)}/>'
            f'<text x="{_LEFT + 32}" y="{y}" dy=".35em">{escaped(label)}</text>'
        )
        y += _LINE
    left = len(curves) - _MOST_LABELS
    if left > 0:
        elements.append(
            f'<text x="{_LEFT + 32}" y="{y}" dy=".35em">… and {left} more</text>'
        )
    return elements, min(len(curves), _MOST_LABELS + 1)


def _shown_number(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
