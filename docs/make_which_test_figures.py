"""Draw the decision figure of which-test.md.

.venv/bin/python docs/make_which_test_figures.py
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from verisimile.report import style

OUT = Path(__file__).parent / "figures" / "which-test.png"
# What is there, what is asked, and the answer: a call and what it says.
TREE = {
    "a true and a\ngenerated sample": {
        "one law?": ("validate", "a dozen tests, one p-value"),
        "where not?": ("twosample.deviating_windows", "also diagnose_with_classifier: tails"),
        "repeats training events?": ("amplification.memorisation", "an alarm with a p-value"),
        "worth how many events?": ("amplify", "G at each resolution"),
    },
    "samples of\nseveral trainings": {
        "which family is better?": ("compare_bands", "a p-value for the whole curve"),
        "what makes them differ?": (
            "checks.precision_recall.variance_parts",
            "data, start, evaluation",
        ),
    },
    "a density with\nlog p(x)": {
        "describes new events?": ("goodness_of_fit", "toys; where by localise"),
        "errors cover?": ("coverage", "contents, moments, quantiles"),
        "describes x given c?": ("goodness_in_context", "bins of the context"),
    },
    "a known truth": {
        "events follow it?": ("known_truth.one_sample_tests", "KS, Cramér–von Mises, likelihood"),
    },
    "a posterior\nof a network": {
        "covers on average?": ("sbc, tarp", "ranks; balls"),
        "covers here?": ("posterior.local_posterior_test", "at one observation"),
    },
}
_COLUMNS = (0.0, 0.25, 0.57)
_WIDTHS = (0.18, 0.25, 0.43)


def main() -> None:
    """Draw and write."""
    OUT.write_bytes(style.to_png(style.draw(paint, width=8.6, height=6.4)))


def paint(figure: Figure) -> None:
    """Draw the tree from left to right."""
    axes = figure.subplots()
    axes.set_axis_off()
    rows = sum(map(len, TREE.values())) + 0.45 * (len(TREE) - 1)
    axes.set(xlim=(-0.005, 1.005), ylim=(rows - 0.4, -1.1))
    for x, title in zip(_COLUMNS, ("You have", "You ask", "Take vs. …, which gives"), strict=True):
        axes.text(x, -0.85, title, color=style.MUTED, fontsize=10, va="center")
    row = 0.0
    for have, asked in TREE.items():
        middle = row + (len(asked) - 1) / 2
        _box(axes, 0, middle, have, style.REFERENCE)
        for question, (name, gives) in asked.items():
            _line(axes, _COLUMNS[0] + _WIDTHS[0], middle, _COLUMNS[1], row)
            _line(axes, _COLUMNS[1] + _WIDTHS[1], row, _COLUMNS[2], row)
            _box(axes, 1, row, question, style.MUTED)
            _box(axes, 2, row, f"{name}\n{gives}", style.ALTERNATIVE)
            row += 1
        row += 0.45


def _box(axes: Axes, column: int, y: float, text: str, colour: str) -> None:
    x, width = _COLUMNS[column], _WIDTHS[column]
    axes.fill([x, x + width, x + width, x], [y - 0.38, y - 0.38, y + 0.38, y + 0.38], color="white",
              ec=colour, lw=1.2, zorder=2)  # fmt: skip
    first, _, rest = text.partition("\n") if column == 2 else (text, "", "")
    up = 0.15 if rest else 0.0
    axes.text(x + 0.01, y - up, first, va="center", fontsize=9, zorder=3,
              family="DejaVu Sans Mono" if column == 2 else None)  # fmt: skip
    axes.text(x + 0.01, y + 0.18, rest, va="center", fontsize=8, color=style.MUTED, zorder=3)


def _line(axes: Axes, x0: float, y0: float, x1: float, y1: float) -> None:
    half = (x0 + x1) / 2
    axes.plot([x0, half, half, x1], [y0, y0, y1, y1], color="#B5BCC4", lw=1, zorder=1)


if __name__ == "__main__":
    main()
