"""Linear functionals of a mixture, with weight and Monte-Carlo errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, as_vector, frozen
from verisimile.core.errors import InputError, NumericsError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run, Task
from verisimile.core.store import Payload, Record
from verisimile.density.protocol import DensityEstimator
from verisimile.mixture.fit import WeightFit

__all__ = [
    "HistogramEstimate",
    "linear_functional",
    "member_draws",
    "member_histogram",
]


@register("histogram-estimate", 1)
@dataclass(frozen=True, slots=True, eq=False)
class HistogramEstimate:
    """Bin probabilities of a marginal with their covariance.

    Attributes
    ----------
    edges
        ``(G + 1,)``.
    values
        Probability content of each bin ``(G,)``; they sum to one when the
        edges span the support.
    covariance
        ``(G, G)``: weight covariance plus Monte-Carlo error of the members' contents.
    """

    edges: Array
    values: Array
    covariance: Array

    @property
    def errors(self) -> Array:
        """Standard deviations of the bin probabilities ``(G,)``."""
        return np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))


def member_draws(
    run: Run, members: Sequence[DensityEstimator], draws: int, fingerprint: str
) -> list[Array]:
    """Return `draws` events of every member, made once per run and kept in its store."""
    if draws < 2:
        raise InputError("draws", got=draws, expected="at least two events per member")
    tasks = [
        Task(
            address=f"draws/{fingerprint[:16]}/{draws}/{i:04d}",
            config={"mixture": fingerprint, "member": i, "draws": draws},
            seeds=run.seeds.at("draws", i),
            args=(member, draws),
        )
        for i, member in enumerate(members)
    ]
    records = run.map(_draw, tasks, label="draws")
    # With no failures allowed, every outcome is a record.
    return [record.arrays["x"] for record in records if isinstance(record, Record)]


def _draw(seeds: Seeds, member: DensityEstimator, draws: int) -> Payload:
    return Payload({"x": member.sample(draws, seeds.numpy())}, {})


def linear_functional(
    h: Callable[[Array], Array], samples: Sequence[Array], fit: WeightFit
) -> Estimate:
    """Return the expectation of `h` under the mixture, from draws of each member."""
    values = [as_vector(h(x), "h(x)", length=x.shape[0]) for x in samples]
    means = np.array([v.mean() for v in values])
    variances = np.array([v.var(ddof=1) / v.size for v in values])
    spread = means @ fit.covariance @ means + (fit.weights**2) @ variances
    if not np.isfinite(spread):
        raise NumericsError("expectation", got="a non-finite error", expected="a finite variance")
    return Estimate(float(fit.weights @ means), float(np.sqrt(max(spread, 0.0))))


def member_histogram(columns: Sequence[Array], edges: Array, fit: WeightFit) -> HistogramEstimate:
    r"""Return bin probabilities of the mixture from one column of each member's draws.

    .. math:: P = \sum_i w_i P_i, \quad
              V = P_\cdot C P_\cdot^T + \sum_i w_i^2
              (\mathrm{diag}(P_i) - P_i P_i^T) / n_i
    """
    bins = as_vector(edges, "edges")
    if bins.size < 2 or not (np.diff(bins) > 0).all():
        raise InputError("edges", got=bins.tolist(), expected="at least two increasing edges")
    contents = np.array([np.histogram(column, bins)[0] / column.size for column in columns])
    covariance = contents.T @ fit.covariance @ contents
    for weight, content, column in zip(fit.weights, contents, columns, strict=True):
        scatter = np.diag(content) - np.outer(content, content)
        covariance += weight**2 / column.size * scatter
    return HistogramEstimate(
        edges=bins, values=frozen(fit.weights @ contents), covariance=frozen(covariance)
    )
