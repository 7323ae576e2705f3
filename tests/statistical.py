"""Assertions about random results, with tolerances that are computed and never tuned.

The default tolerance is k = 5 standard errors, or an exact test at the same two-sided
level: a correct program fails one such assertion in 1.7 million.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

FIVE_SIGMA = float(2 * stats.norm.sf(5))


def assert_within(
    value: npt.ArrayLike, target: npt.ArrayLike, error: npt.ArrayLike, *, k: float = 5.0
) -> None:
    """Require |value - target| <= k * error in every entry; `error` is a standard error."""
    values, targets, errors = np.broadcast_arrays(
        *(np.asarray(item, dtype=np.float64) for item in (value, target, error))
    )
    if not (np.isfinite(errors).all() and (errors > 0).all()):
        raise AssertionError(f"the standard error must be finite and positive, got {errors}")
    pulls = (values - targets) / errors
    # Written so that NaN, which compares false to everything, fails.
    if not (np.abs(pulls) <= k).all():
        worst = np.unravel_index(
            np.argmax(np.where(np.isnan(pulls), np.inf, np.abs(pulls))), pulls.shape
        )
        raise AssertionError(
            f"value {values[worst]:.8g}, target {targets[worst]:.8g}, "
            f"error {errors[worst]:.3g}: off by {pulls[worst]:+.2f} sigma (allowed {k:g}), "
            f"the worst of {pulls.size}"
        )


def assert_rate(successes: int, trials: int, rate: float, *, alpha: float = FIVE_SIGMA) -> None:
    """Require `rate` to lie in the Clopper-Pearson interval of level 1 - alpha.

    This is the exact two-sided binomial test: a true `rate` is rejected with
    probability at most `alpha`.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise AssertionError(f"{successes} successes in {trials} trials is not a count")
    low, high = _binomial_interval(successes, trials, alpha)
    if not low <= rate <= high:
        raise AssertionError(
            f"{successes} of {trials} = {successes / trials:.4f}; expected rate {rate:.4f} "
            f"is outside [{low:.4f}, {high:.4f}] (level 1 - {alpha:.2g})"
        )


def assert_uniform(
    values: npt.ArrayLike,
    *,
    alpha: float = FIVE_SIGMA,
    steps: int | None = None,
    rng: np.random.Generator | None = None,
) -> None:
    """Require `values` to be uniform on (0, 1): Kolmogorov-Smirnov at level `alpha`.

    P-values (k + 1) / (B + 1) from B toys live on a lattice of B + 1 steps and
    are spread evenly over their step first: pass ``steps=B + 1`` and an `rng`.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0 or not ((sample >= 0) & (sample <= 1)).all():
        raise AssertionError("uniform values are a non-empty vector of numbers in [0, 1]")
    if steps is not None:
        if rng is None:
            raise AssertionError("spreading lattice values over their steps needs an rng")
        sample = sample - rng.random(sample.size) / steps
    result = stats.kstest(sample, "uniform")
    if result.pvalue < alpha:
        raise AssertionError(
            f"{sample.size} values are not uniform: KS distance {result.statistic:.4f} at "
            f"{result.statistic_location:.4f}, p = {result.pvalue:.2g} < {alpha:.2g}"
        )


def _binomial_interval(successes: int, trials: int, alpha: float) -> tuple[float, float]:
    failures = trials - successes
    low = stats.beta.ppf(alpha / 2, successes, failures + 1) if successes else 0.0
    high = stats.beta.isf(alpha / 2, successes + 1, failures) if failures else 1.0
    return float(low), float(high)
