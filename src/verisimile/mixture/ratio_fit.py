r"""Maximum-likelihood weights of density ratios, with errors of both samples and of the members.

.. math:: r(x) = \frac{p(x)}{g(x)} \approx \hat r(x) = \sum_i w_i r_i(x), \qquad
          \langle r_i \rangle_g = 1, \quad \sum_i w_i = 1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.core.arrays import Array, frozen
from verisimile.core.errors import NumericsError, require
from verisimile.core.result import Result, register
from verisimile.mixture.covariance import left_out_members
from verisimile.mixture.fit import FitRecord, Pseudo, fit_weights, reduced_problem, unit_mean
from verisimile.mixture.objective import as_log_densities, mixed_log_density, weighted_gram
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.stats.linalg import symmetrise


@register("ratio-fit", 1)
@dataclass(frozen=True, slots=True, eq=False)
class RatioFit(Result):
    """Weights of density ratios, and what their sum is uncertain by.

    Attributes
    ----------
    weights
        ``(M,)``, sum to one, may be negative.
    covariance
        Of the weights ``(M, M)``, from the reference *and* the generated events; not singular
        along the all-ones direction, in which the normalisation fluctuates.
    left
        Combinations of the members ``(M, M)``, one in each row: what is left of each member
        after the best fit of it by the others.
    log_means
        Logarithms of the members' means over the generated events ``(M,)``: what is taken
        off their log-ratios.
    record
        Diagnostics of the fit.
    n_reference, n_generated
        Events.
    """

    weights: Array
    covariance: Array
    left: Array
    log_means: Array
    record: FitRecord
    n_reference: int
    n_generated: int
    listed: ClassVar[tuple[str, ...]] = ("weights", "errors")

    @property
    def errors(self) -> Array:
        """Standard deviations of the weights ``(M,)``."""
        return np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))

    def __repr__(self) -> str:
        """Return one line: sizes and norm."""
        return (
            f"RatioFit(M={self.weights.size}, reference={self.n_reference}, "
            f"generated={self.n_generated}, |w|={self.record.l1_norm:.3g})"
        )

    def log_ratio(self, log_ratios: Array) -> Array:
        """Return log r ``(n,)`` from the members' ``(n, M)``; minus infinity where r <= 0."""
        return mixed_log_density(log_ratios - self.log_means, self.weights)

    def deviations(self, log_ratios: Array) -> tuple[Array, Array]:
        r"""Return what the ratio is uncertain by: standard normal factors times two arrays.

        .. math:: \hat r - r \approx A \xi + B \eta, \qquad A = R L,\ L L^T = C, \qquad
                  B = R\,b^T / \sqrt M

        A ``(n, M)`` is of the weights, B ``(n, M)`` of what no weights can give; both in units
        of the ratio.
        """
        ratios = np.exp(log_ratios - self.log_means)
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        return ratios @ root, ratios @ self.left.T / np.sqrt(self.weights.size)

    def error(self, log_ratios: Array) -> Array:
        """Return the standard deviation of r ``(n,)`` from the members' log-ratios ``(n, M)``."""
        own, beyond = self.deviations(log_ratios)
        return np.asarray(np.sqrt((own**2).sum(axis=1) + (beyond**2).sum(axis=1)))


def fit_ratio_weights(
    reference: Array,
    generated: Array,
    *,
    reference_weights: Array | None = None,
    generated_weights: Array | None = None,
    solver: NewtonSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
) -> RatioFit:
    r"""Combine log density ratios by maximum likelihood.

    With members scaled to mean one over the generated events,
    :math:`g\,r_i` are densities, and the likelihood of the reference events under
    :math:`\sum_i w_i\,g\,r_i` knows g as a constant only:

    .. math:: \hat w = \arg\max_{\sum w = 1} \frac1n \sum_{p} \log \sum_i w_i r_i(x),
              \qquad \langle \hat r \rangle_g = 1 \text{ by construction}.

    Written with free weights v it is the stationary point of
    :math:`\langle \log R v \rangle_p - \langle R v \rangle_g`, so that both samples enter

    .. math:: C = A^{-1} \left[ \frac{\mathrm{cov}_p(R/\hat r)}{n_p}
              + \frac{\mathrm{cov}_g(R)}{n_g} \right] A^{-1}, \qquad
              A = \left\langle R R^T / \hat r^2 \right\rangle_p .

    That is the uncertainty of the weights *given the members*.  What no weights can give
    is estimated from the members themselves: if they were trained on bootstrap samples, the
    truth is to the fit of all training events as that is to a member, so that the truth lies
    outside the span of the members as far as a member does outside that of the others,

    .. math:: \sigma_r^2(x) = R^T C R + \frac1M \sum_i (b_i^T R)^2

    with :math:`b_i` of :func:`~verisimile.mixture.covariance.left_out_members`.

    What all members miss alike (a bias of the learner) is in neither.

    Parameters
    ----------
    reference, generated
        Log-ratios ``(n, M)`` of the members at events that none of them was trained on.
    reference_weights, generated_weights
        Positive event weights ``(n,)``.
    solver
        Tolerance and rank truncation of the fit.

    Raises
    ------
    InputError
        For fewer than two members, or shapes or weights that do not fit.
    NumericsError
        For log-ratios that are not finite, or a fit without optimum.

    References
    ----------
    M. Sugiyama et al., Ann. Inst. Stat. Math. 60 (2008) 699 (KLIEP: the likelihood);
    X. Nguyen, M. Wainwright, M. Jordan, IEEE Trans. Inf. Theory 56 (2010) 5847, eq. 11 (the free
    form); P. Huber, 5th Berkeley Symposium (1967) 221 (the covariance).

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> p, g = rng.normal(0.5, 1.0, 2000), rng.normal(0.0, 1.0, 2000)
    >>> members = lambda x: np.column_stack([0.4 * x, 0.6 * x])
    >>> fit = vs.mixture.fit_ratio_weights(members(p), members(g))
    >>> bool(abs(np.exp(fit.log_ratio(members(g))).mean() - 1.0) < 1e-9)
    True
    """
    p, g = _checked(reference, "reference"), _checked(generated, "generated")
    require(
        p.shape[1] == g.shape[1] and p.shape[1] > 1,
        "generated",
        got=f"{g.shape[1]} members, and {p.shape[1]} at the reference events",
        expected="the same two or more members at both samples",
    )
    u, v = unit_mean(reference_weights, len(p)), unit_mean(generated_weights, len(g))
    top = g.max(axis=0)
    log_means = np.log(np.average(np.exp(g - top), axis=0, weights=v)) + top
    p, g = p - log_means, g - log_means
    # The ratio must be positive where the generator puts events.
    pseudo = Pseudo(g)
    fit = fit_weights(p, u, solver=solver, pseudo=pseudo)
    basis = reduced_problem(p, u, pseudo, solver.truncation).basis
    covariance, left = _spread(np.exp(p), np.exp(g), (u, v), fit.weights, basis)
    return RatioFit(
        weights=fit.weights,
        covariance=frozen(covariance),
        left=frozen(left),
        log_means=frozen(log_means),
        record=fit.record,
        n_reference=len(p),
        n_generated=len(g),
    )


def _checked(values: Array, name: str) -> Array:
    matrix = as_log_densities(values, name)
    if not np.isfinite(matrix).all():
        raise NumericsError(
            name,
            got=f"{int((~np.isfinite(matrix)).sum())} log-ratios that are not finite",
            expected="finite log-ratios",
            remedy="Clip the classifier's probabilities away from zero and one.",
        )
    return matrix


def _spread(
    p: Array, g: Array, sizes: tuple[Array, Array], weights: Array, basis: Array
) -> tuple[Array, Array]:
    """Return covariance of the weights, and what is left of each member, ``(M, M)`` each."""
    u, v = sizes
    scores = p / (p @ weights)[:, None]
    root = np.sqrt(u / u.sum())
    curvature, _ = weighted_gram(scores, root, root)
    middle = _of_mean(scores, u) + _of_mean(g, v)
    members = weights.size
    free = np.column_stack([basis, np.full(members, members**-0.5)])
    bread = free @ np.linalg.solve(free.T @ curvature @ free, free.T)
    return symmetrise(bread @ middle @ bread), left_out_members(curvature)


def _of_mean(values: Array, weights: Array) -> Array:
    """Return the covariance of a weighted mean of rows ``(n, M)``."""
    share = weights / weights.sum()
    away = (values - share @ values) * share[:, None]
    return np.asarray(away.T @ away)
