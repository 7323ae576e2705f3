r"""The density ratio of two samples, as functions of the events with a posterior.

.. math:: w(x) = \frac{p_\mathrm{reference}(x)}{p_\mathrm{generated}(x)}
          = e^{\varphi(x) \cdot b} / Z, \qquad
          \frac{\sigma_w(x)}{w(x)} = \big|L^T (\varphi(x) - \langle \varphi \rangle_w)\big|

Z makes the mean of w over the generated events one, and :math:`\Sigma = L L^T` is the posterior
covariance of b.  The functions are those of a discrepancy, with the generated events in the place
of a mixture: bumps in normal scores of every feature and of pairs, and, with a classifier, in the
scores of its logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.random import Seeds
from verisimile.data.feature import Feature
from verisimile.mixture.discrepancy.bands import feature_bands
from verisimile.mixture.discrepancy.basis import Axis, DiscrepancyBasis
from verisimile.mixture.discrepancy.functions import Functions
from verisimile.mixture.discrepancy.posterior import DiscrepancyFit, DiscrepancyRecord
from verisimile.mixture.discrepancy.settings import Discrepancy
from verisimile.mixture.tilt_fit import covariance_at
from verisimile.repair.logistic import Side, fit_labels

_CONTENT = 0.683
_NO_CAP = 1.0  # of variations by weights of members, of which there are none


def functions_of(
    features: Sequence[Feature], generated: Array, level: Array, *, marginals: bool = True
) -> Functions:
    """Return the functions of a ratio, in the normal scores of generated events ``(n, d)``.

    `level` ``(n, 1)`` is a classifier's logit, or one value without one; without `marginals` it is
    all that the functions see.
    """
    seen = tuple(features) if marginals else ()
    basis = DiscrepancyBasis.of(seen, generated, level[:, 0])
    named = replace(basis.level, feature=Feature("classifier"))
    return Functions(
        frozen(np.ones(1)),
        frozen(np.empty((1, 0))),
        _NO_CAP,
        replace(basis, level=named, names=tuple(map(_named, basis.names))),
    )


def _named(name: str) -> str:
    return name.replace("density: ", "classifier: ", 1)


def learn_ratio(
    features: Sequence[Feature],
    functions: Functions,
    reference: Side,
    generated: Side,
    settings: Discrepancy,
    seeds: Seeds,
    *,
    refits: int = 0,
) -> tuple[DiscrepancyFit, float]:
    r"""Return the posterior of the log ratio, and the factor that its errors have been given.

    .. math:: \kappa = Q_{0.683}\Big(\frac{|\log w^* - \log w|}{\sigma^*}\Big)

    over refits of as many generated events, drawn anew with the weights w in the place of the
    reference and without them: there w is the truth, and the quantile is one if errors hold.

    Raises
    ------
    NumericsError
        If a fit has no certified optimum.
    """
    fit = _fitted(functions, reference, generated, settings, seeds)
    rows = functions.at(generated.x, generated.level)
    factor = 1.0
    if refits:
        factor = _error_factor(fit, rows, (reference.events, generated), seeds, refits)
        fit = replace(fit, covariance=frozen(factor**2 * fit.covariance))
    axes = [Axis.of(spec, column) for spec, column in zip(features, generated.x.T, strict=True)]
    return replace(fit, bands=feature_bands(fit, generated.x, rows, axes)), factor


def _error_factor(
    fit: DiscrepancyFit, rows: Array, sizes: tuple[float, Side], seeds: Seeds, refits: int
) -> float:
    wanted, generated = sizes
    logs = fit.log_ratio(rows)
    shares = generated.weights / generated.events
    weighted = shares * np.exp(logs)
    pulls = []
    for k in range(refits):
        at = seeds.at("refit", k)
        rng = at.numpy()
        drawn = [
            rng.choice(logs.size, round(n), p=p / p.sum())
            for n, p in ((wanted, weighted), (generated.events, shares))
        ]
        sides = [Side.of(generated.x[own], generated.level[own], None) for own in drawn]
        again = _fitted(fit.functions, sides[0], sides[1], fit.settings, at)
        own = drawn[1]
        away = again.log_ratio(rows[own]) - logs[own]
        pulls.append(np.abs(away) / again.relative_error(rows[own]))
    return float(np.quantile(np.concatenate(pulls), _CONTENT))


def _fitted(
    functions: Functions, reference: Side, generated: Side, settings: Discrepancy, seeds: Seeds
) -> DiscrepancyFit:
    """Return the posterior, normalised over the generated events, without bands of features."""
    learnt = fit_labels(functions, reference, generated, settings, seeds)
    coefficients = learnt.posterior.mean[1:]
    rows = functions.at(generated.x, generated.level)
    shares = generated.weights / generated.events
    logits = rows @ coefficients
    log_norm = float(logsumexp(logits, b=shares))
    weighted = shares * np.exp(logits - log_norm)
    groups = np.concatenate([[-1], functions.groups])
    record = DiscrepancyRecord(
        n_events=reference.events,
        reference=len(rows),
        n_functions=functions.groups.size,
        effective=learnt.posterior.effective,
        evidence=learnt.posterior.evidence(learnt.about, groups),
        iterations=learnt.iterations,
        gap=learnt.gap,
        smallest_log_ratio=float(logits.min()) - log_norm,
        largest_log_ratio=float(logits.max()) - log_norm,
        effective_reference=float(1.0 / (weighted @ weighted)),
    )
    return DiscrepancyFit(
        functions=functions,
        coefficients=frozen(coefficients),
        covariance=frozen(learnt.posterior.covariance[1:, 1:]),
        means=frozen(weighted @ rows),
        information=frozen(covariance_at(rows, weighted)),
        log_norm=log_norm,
        scales=frozen(np.median(learnt.posterior.scales, axis=0)),
        reference=digest(generated.x),
        bands=(),
        settings=settings,
        record=record,
    )
