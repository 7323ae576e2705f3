"""Whether labels and scores are correlated at equal context, when no two contexts are equal."""

from __future__ import annotations

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor

from verisimile.checks.classifier.learners import Classifier, scores
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.random import Seeds
from verisimile.stats.pvalues import PValue

__all__ = ["covariance_p_value"]

_FOLDS = 2


def covariance_p_value(
    seeds: Seeds, learner: Classifier, context: Array, truth: BoolArray, tested: Array
) -> PValue:
    r"""Return the p-value of the generalised covariance measure.

    .. math:: T = \frac{\sqrt n\, \bar R}{s_R}, \qquad
              R_i = \big(y_i - \hat e(c_i)\big)\big(D(x_i, c_i) - \hat m(c_i)\big),

    :math:`\hat e` an estimate of the share of true events at c and :math:`\hat m` of the mean
    score there, each from events other than i.  If :math:`p(x|c)` is one for both samples, T
    is normal in the limit, with an error of the *product* of those of both regressions.

    Parameters
    ----------
    seeds
        Random streams.
    learner
        Of :math:`\hat e`.
    context
        Contexts ``(n, k)`` of events on which D was not trained.
    truth
        Which are true ``(n,)``.
    tested
        Their scores D ``(n,)``.

    References
    ----------
    R. D. Shah, J. Peters, Ann. Stat. 48 (2020) 1514, section 3.
    """
    part = seeds.at("folds").numpy().permutation(np.arange(truth.size) % _FOLDS)
    product = np.empty(truth.size)
    for fold in range(_FOLDS):
        here, rest = part == fold, part != fold
        at = seeds.at("fold", fold)
        share, _ = scores(learner, at, context[rest], truth[rest], None, context[here])
        mean = _mean_score(at, context[rest], tested[rest], context[here])
        product[here] = (truth[here] - share) * (tested[here] - mean)
    spread = float(product.std(ddof=1))
    pull = np.sqrt(truth.size) * float(product.mean()) / spread if spread > 0.0 else -np.inf
    p = float(stats.norm.sf(pull))
    return PValue(p, p, p, "generalised covariance, normal in the limit", 0, 0)


def _mean_score(seeds: Seeds, context: Array, tested: Array, at: Array) -> Array:
    model = HistGradientBoostingRegressor(
        max_iter=60, max_leaf_nodes=8, random_state=seeds.at("mean").integer() % 2**32
    )
    return np.asarray(model.fit(context, tested).predict(at), dtype=np.float64)
