"""Profile-likelihood intervals of weights and linear observables, by iminuit's MINOS."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from iminuit import Minuit
from scipy import stats

from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import NumericsError, require
from verisimile.core.result import Result, register
from verisimile.mixture.covariance import information, sandwich
from verisimile.mixture.fit import Pseudo, reduced_problem
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.minuit import Whitened, curvature_axes, migrad
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import Optimum, WeightSolver

_NO_MOTION = 1e-12


@register("minos-interval", 1)
@dataclass(frozen=True, slots=True)
class MinosInterval(Result):
    """Profile-likelihood interval of one weight or observable.

    Attributes
    ----------
    value
        The fitted weight or observable.
    low, high
        Ends of the interval; not symmetric about `value` in general.
    valid
        Whether MINOS found both ends; an end that it did not find is NaN.
    """

    value: float
    low: float
    high: float
    valid: bool


def minos_interval(
    logf: Array,
    index: int,
    *,
    weights: Array | None = None,
    level: float = 0.6827,
    pseudo: Pseudo | None = None,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
) -> MinosInterval:
    r"""Return the interval of weight `index` with all others profiled, their sum kept at one.

    .. math:: \{w_i : \min_{w | w_i,\; \sum_j w_j = 1} \ell(w) - \ell(\hat w)
              \le \tfrac12 k\, \chi^2_{1,\,level}\}

    with :math:`\ell` the negative log-likelihood summed over events (and
    pseudo-events), divided by :math:`k = C_{ii} / H^{-1}_{ii}`, the fit's own variance over
    that of the curvature.  Without event weights and pseudo-events k is one.  With weights
    the likelihood is too sharp by it, and so it is where positivity binds, because
    pseudo-events at the boundary are no observations.

    Parameters
    ----------
    logf, weights, pseudo
        As for :func:`~verisimile.mixture.fit.fit_weights`.
    index
        Member, from 0 to M - 1.
    level
        Confidence level, in (0, 1).
    solver
        What finds the optimum that the profile starts from.

    Raises
    ------
    InputError, NumericsError
        If there is no such member or level, or no certified optimum; otherwise as ``fit_weights``.

    References
    ----------
    F. James, M. Roos, Comput. Phys. Commun. 10 (1975) 343;
    R. E. Chandler, S. Bate, Biometrika 94 (2007) 167 (the division).
    """
    members = np.shape(logf)[-1] if np.ndim(logf) else 0
    expected = f"a member, from 0 to {members - 1}"
    require(0 <= index < members, "index", got=repr(index), expected=expected)
    unit = np.zeros(members)
    unit[index] = 1.0
    return minos_observable(logf, unit, weights=weights, level=level, pseudo=pseudo, solver=solver)


def minos_observable(
    logf: Array,
    values: Array,
    *,
    weights: Array | None = None,
    level: float = 0.6827,
    pseudo: Pseudo | None = None,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
) -> MinosInterval:
    r"""Return the interval of an observable :math:`O = \sum_i w_i O_i`, all weights profiled.

    .. math:: \{O : \min_{w | w \cdot O_\cdot = O,\; \sum_j w_j = 1} \ell(w) - \ell(\hat w)
              \le \tfrac12 k\, \chi^2_{1,\,level}\}

    as :func:`minos_interval`, of which a single weight is the case
    :math:`O_j = \delta_{ij}`.  The members' values are taken as exact: their
    Monte-Carlo error is for :meth:`~verisimile.mixture.model.Mixture.expectation`.

    Parameters
    ----------
    logf, weights, pseudo, level, solver
        As for :func:`minos_interval`.
    values
        O_i, the observable under each member ``(M,)``: a bin content, a moment,
        the density at a point.

    Raises
    ------
    InputError, NumericsError
        If the values are not M finite numbers; otherwise as :func:`minos_interval`.
    """
    reduced = reduced_problem(logf, weights, pseudo, solver.truncation)
    good = 0.0 < level < 1.0
    require(good, "level", got=repr(level), expected="a confidence level in (0, 1)")
    per_member = as_vector(values, "values", length=reduced.basis.shape[0])
    finite = np.isfinite(per_member).all()
    require(finite, "values", got="NaN or infinity", expected="finite numbers")
    optimum = solver.minimise(reduced.problem, np.zeros(reduced.basis.shape[1]))
    if not optimum.converged:
        raise NumericsError(
            "MINOS",
            got=f"a fit that ended at a Newton decrement of {optimum.decrement:.2g}",
            expected="a certified optimum",
            remedy="Pass pseudo-events, or raise the solver's limit of iterations.",
        )
    value = float(per_member @ reduced.weights(optimum.theta))
    row = per_member @ reduced.basis
    # The same for all members, or moved only by weights that truncation has frozen.
    if np.linalg.norm(row) <= _NO_MOTION * np.linalg.norm(per_member):
        return MinosInterval(value, value, value, valid=True)
    axes, sigma = _axes(reduced.problem, optimum, row)
    # The fit's own variance of the observable over that of the curvature.
    errors = sandwich(information(reduced, optimum.density))
    sharpness = float(per_member @ errors @ per_member) / sigma**2
    rise = sharpness * float(stats.chi2.ppf(level, 1))
    return _scanned(Whitened(reduced.problem, optimum.theta, axes), value, sigma, rise=rise)


def _axes(problem: LogLinear, optimum: Optimum, row: Array) -> tuple[Array, float]:
    """Return axes of unit curvature of which only the first moves the value, and by how much."""
    axes = curvature_axes(problem, optimum)
    along = axes.T @ row
    rotation, upper = np.linalg.qr(along[:, None], mode="complete")
    rotation[:, 0] *= np.sign(upper[0, 0])
    return axes @ rotation, abs(float(upper[0, 0]))


def _scanned(cost: Whitened, value: float, sigma: float, *, rise: float) -> MinosInterval:
    """Run MINOS on the first coordinate, in which the weight is ``value + sigma y``."""
    minuit: Minuit = migrad(cost)
    minuit.errordef = Minuit.LIKELIHOOD * rise
    minuit.minos(0, cl=1)  # of one standard deviation: a rise of errordef
    found = minuit.merrors[0]
    centre = float(minuit.values[0])
    low, high = (
        value + sigma * (centre + end) if ok else math.nan
        for end, ok in ((found.lower, found.lower_valid), (found.upper, found.upper_valid))
    )
    return MinosInterval(value, low, high, valid=bool(found.is_valid))
