"""Where figures are drawn: into axes of the caller, a new figure, or a figure of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.gridspec import SubplotSpec

from verisimile.core.errors import InputError
from verisimile.report import style

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Axes])

_loose: ContextVar[bool] = ContextVar("loose", default=False)
_DRAWN: dict[type, Callable[..., Axes]] = {}


@contextmanager
def canvas(ax: Axes | None, *, width: float = 5.6, height: float = 4.6) -> Iterator[Axes]:
    """Yield `ax`, or axes in a new figure of the given inches, within the common style.

    A new figure is one of pyplot's, so that a notebook shows it, unless `figure_of` asks.
    """
    if ax is not None:
        with style.styled():
            yield ax
        return
    figure = _new_figure((width, height))
    with style.styled():
        yield _dressed(figure.add_subplot())


def _new_figure(size: tuple[float, float]) -> Figure:
    """Return a figure, made before the style, whose end would undo what a notebook sets."""
    if _loose.get():
        return Figure(figsize=size, layout="constrained", facecolor="white")
    from matplotlib import pyplot as plt  # noqa: PLC0415  (chooses a backend)

    return plt.figure(figsize=size, layout="constrained", facecolor="white")


def _dressed(ax: Axes) -> Axes:
    """Give axes the ticks of the common style, which matplotlib reads when it draws them."""
    ax.tick_params(which="both", direction="in", labelsize=9)
    return ax


def figure_of(function: Callable[P, Axes], *arguments: P.args, **options: P.kwargs) -> Figure:
    """Return the figure that a function of ``vs.figures`` makes, in no window and no notebook."""
    before = _loose.set(True)
    try:
        figure = function(*arguments, **options).figure
    finally:
        _loose.reset(before)
    while not isinstance(figure, Figure):
        figure = figure.figure
    return figure


def panels(
    ax: Axes,
    *,
    heights: Sequence[float] = (1.0,),
    widths: Sequence[float] = (1.0,),
    share: bool = False,
) -> list[Axes]:
    """Divide axes into a grid of the given proportions, row by row: the first is `ax` itself.

    `share` gives all of them the x axis of the first.
    """
    place = ax.get_subplotspec()
    if place is None:
        raise InputError(
            "ax",
            got="axes that were placed by hand",
            expected="axes of a grid: this figure has several panels",
            remedy="Make them by plt.subplots() or figure.add_subplot().",
        )
    grid = place.subgridspec(
        len(heights), len(widths), height_ratios=list(heights), width_ratios=list(widths)
    )
    cells: list[SubplotSpec] = [grid[j, k] for j in range(len(heights)) for k in range(len(widths))]
    ax.set_subplotspec(cells[0])
    home = home_of(ax)
    others = (home.add_subplot(cell, sharex=ax if share else None) for cell in cells[1:])
    return [ax, *map(_dressed, others)]


def home_of(ax: Axes) -> FigureBase:
    """Return the figure, or the part of one, that holds the axes."""
    home: FigureBase | None = ax.get_figure(root=False)
    if home is None:
        raise InputError("ax", got="axes of no figure", expected="axes of a figure")
    return home


def draws(*kinds: type) -> Callable[[F], F]:
    """Return a decorator that makes a function known as what draws results of these kinds."""

    def decorator(function: F) -> F:
        _DRAWN.update(dict.fromkeys(kinds, function))
        return function

    return decorator


def drawn() -> dict[type, Callable[..., Axes]]:
    """Return the functions by the kinds of results that they draw."""
    return dict(_DRAWN)


def draw(result: object, *, ax: Axes | None = None) -> Axes:
    """Draw a result of any kind by the function for it, and return the axes.

    Parameters
    ----------
    result
        What a check, a fit or a report gave.
    ax
        Where to draw; None for a new figure.

    Raises
    ------
    InputError
        If there is no figure of this kind, or `ax` cannot be divided.

    Examples
    --------
    >>> import verisimile as vs
    >>> vs.figures.draw(vs.PValue(0.04, 0.03, 0.05, "toys", 999, 0)).get_xlabel()
    'p-value'
    """
    found = next((_DRAWN[kind] for kind in type(result).__mro__ if kind in _DRAWN), None)
    if found is None:
        known: Any = sorted({kind.__name__ for kind in _DRAWN})
        raise InputError(
            "result",
            got=f"a {type(result).__name__}",
            expected=f"one of {', '.join(known)}",
            remedy="Draw the result that it is a part of.",
        )
    return found(result, ax=ax)
