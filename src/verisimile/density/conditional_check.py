"""`check_conditional`: whether f(x | c) keeps the promises of a density at given contexts."""

from __future__ import annotations

import numpy.typing as npt

from verisimile.core.arrays import as_matrix
from verisimile.core.random import Seeds
from verisimile.density.check import EstimatorCheck, check_estimator
from verisimile.density.conditional import AtContext, ConditionalDensity

__all__ = ["check_conditional"]


def check_conditional(
    model: ConditionalDensity,
    context: npt.ArrayLike,
    *,
    seeds: Seeds = Seeds(0),  # noqa: B008  (a frozen value)
    draws: int = 4000,
) -> tuple[EstimatorCheck, ...]:
    """Try out a conditional density at each given context; see `check_estimator`.

    That its density integrates to one over x and that its draws follow it is
    checked at every row of `context` by itself.

    Parameters
    ----------
    model
        A conditional density.
    context
        Contexts ``(G, C)`` at which to check; choose some near the edges.
    seeds, draws
        As for `check_estimator`.

    Returns
    -------
    tuple of EstimatorCheck
        One per context, with empty ``problems`` if all promises are kept.
    """
    rows = as_matrix(context, "context", columns=model.n_context)
    return tuple(
        check_estimator(AtContext(model, row), seeds=seeds.at(number), draws=draws)
        for number, row in enumerate(rows)
    )
