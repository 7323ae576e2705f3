"""Axes of histograms from the command line: ``m_ll=60:120:24`` or ``n_jets=0,1,2,5``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options
from verisimile.core.errors import InputError

if TYPE_CHECKING:
    from verisimile.core.arrays import Array

_FORM = "NAME=LOW:HIGH:BINS or NAME=EDGE,EDGE,..."
_LIKE = "m_ll=60:120:24"
_MOST = 10_000

AxisOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=LOW:HIGH:BINS",
        help="Bins of a template, or NAME=EDGE,EDGE,...; repeat for several features.",
    ),
]


def axes_of(texts: Sequence[str]) -> dict[str, Array]:
    """Return edges by the name of a feature.

    Raises
    ------
    InputError
        For a text that is no axis.

    Examples
    --------
    >>> axes_of(["m_ll=60:120:2", "n=0,1,5"])
    {'m_ll': array([ 60.,  90., 120.]), 'n': array([0., 1., 5.])}
    """
    named = options.named_texts(texts, "--axis", form=_FORM, like=_LIKE)
    return {name: _edges(text) for name, text in named.items()}


def _edges(text: str) -> Array:
    import numpy as np

    parts = text.split(":") if ":" in text else text.split(",")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise _no_axis(text) from None
    if not all(map(math.isfinite, numbers)):
        raise _no_axis(text)
    if ":" not in text:
        edges = np.array(numbers)
        if edges.size < 2 or not (np.diff(edges) > 0.0).all():
            raise _no_axis(text)
        return edges
    whole = len(numbers) == 3 and numbers[2] == int(numbers[2]) and 1 <= numbers[2] <= _MOST
    if not whole or not numbers[0] < numbers[1]:
        raise _no_axis(text)
    return np.linspace(numbers[0], numbers[1], int(numbers[2]) + 1)


def _no_axis(text: str) -> InputError:
    return InputError(
        "--axis",
        got=repr(text),
        expected=f"{_FORM}, edges that rise, {_MOST} bins at most",
        remedy=f"For instance --axis {_LIKE}.",
    )
