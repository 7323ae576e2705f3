"""Several statistics of the same data become one p-value, calibrated on the same toys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import register
from verisimile.stats.nulls import Empirical
from verisimile.stats.pvalues import PValue, add_one

_DIGITS = 9  # of standard deviations that tell tied rows apart
_TIE = 1e-9  # relative; sums of the same logarithms in another order differ by rounding


@register("combined-p-value", 1)
@dataclass(frozen=True, slots=True)
class Combined:
    """One p-value for several statistics of the same data.

    Attributes
    ----------
    p_value
        The global p-value.  Its interval is that of its own count among the
        toys, with the ranks of the columns taken as given.
    columns
        The p-value of each statistic alone, not corrected for the others.
    smallest
        Index of the column with the smallest p-value.
    rule
        ``"min-p"`` or ``"fisher"``.
    """

    p_value: PValue
    columns: tuple[PValue, ...]
    smallest: int
    rule: str

    def __repr__(self) -> str:
        """Return one line: the rule, the global p-value, and the columns'."""
        each = ", ".join(f"{p.value:.4g}" for p in self.columns)
        return f"Combined({self.rule}: {self.p_value!r}, of {each})"


def min_p(observed: npt.ArrayLike, toys: Array, *, null: str = "toys") -> Combined:
    r"""Combine statistics by the smallest of their p-values, recalibrated on the same toys.

    Observation and toys are pooled, N = B + 1 in all, and treated alike:

    .. math:: p_{ij} = \frac{\#\{i' : s_{i'j} \ge s_{ij}\}}{N}, \quad
              m_i = \min_j p_{ij}, \quad
              p = \frac{\#\{i : m_i \le m_{obs}\}}{N}.

    Under the null the N rows are exchangeable whatever the correlation of the
    columns, so that :math:`P(p \le \alpha) \le \alpha` at every B.  The power
    is that of the best column, at the price of what the columns do not share.

    Each column has an extreme row of its own, so that up to J rows share the smallest
    possible :math:`m_i`.  Such ties are resolved by how far the row lies out in
    its best column, in standard deviations of the pool: data beyond all toys in one column by far
    have :math:`p = 1/N`, and not J / N.

    Parameters
    ----------
    observed
        Statistics of the data ``(J,)``; large is extreme.
    toys
        Statistics of the toys ``(B, J)``; a non-finite one is as extreme as can be.
    null
        How the toys were made.

    Raises
    ------
    InputError
        If the shapes do not fit, or there are no toys or no columns.

    References
    ----------
    P. H. Westfall, S. S. Young, Resampling-Based Multiple Testing (1993), sec. 2.3.

    Examples
    --------
    >>> min_p([9.0, 0.0], np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])).p_value.value
    0.25
    """
    smallest = smallest_p(observed, toys)
    return _combined(observed, toys, smallest <= smallest[0], rule="min-p", null=null)


def smallest_p(observed: npt.ArrayLike, toys: Array) -> Array:
    r"""Return :math:`m_i` of :func:`min_p`, ``(B + 1,)``: first the data's, then the toys'.

    Tied values are spread over the step below them, :math:`(m_i - 1/N, m_i]`, the
    furthest out first.
    """
    ranks = _ranks(observed, toys)
    total = ranks.shape[0]
    smallest = ranks.min(axis=1)
    out = np.where(ranks == smallest[:, None], _standardised(observed, toys), -np.inf).max(axis=1)
    resolved = smallest.astype(np.float64)
    for rank in np.unique(smallest):
        tied = np.flatnonzero(smallest == rank)
        # Equally far out is equally extreme: the rank of the first of them.
        below = np.searchsorted(np.sort(out[tied]), out[tied], side="left")
        resolved[tied] -= below / (tied.size + 1)
    return np.asarray(resolved / total)


def fisher(observed: npt.ArrayLike, toys: Array, *, null: str = "toys") -> Combined:
    r"""Combine statistics by Fisher's product of p-values, calibrated on the same toys.

    .. math:: T_i = -2 \sum_j \log p_{ij}, \quad p = \#\{i : T_i \ge T_{obs}\} / N

    with the pooled ranks of :func:`min_p`.  No :math:`\chi^2_{2J}` law is
    used, which only independent columns follow.  Better than `min_p` when
    every column sees a little of the deviation, worse when one sees it all.

    Parameters
    ----------
    observed, toys, null
        As for :func:`min_p`.

    References
    ----------
    R. A. Fisher, Statistical Methods for Research Workers (1925), sec. 21.1.
    """
    ranks = _ranks(observed, toys)
    total = -2.0 * np.log(ranks / ranks.shape[0]).sum(axis=1)
    return _combined(
        observed, toys, total >= total[0] - _TIE * (1.0 + total[0]), rule="fisher", null=null
    )


def _ranks(observed: npt.ArrayLike, toys: Array) -> npt.NDArray[np.int64]:
    """Return how many of the pool are at least as large, ``(B + 1, J)``; the data come first."""
    row = np.asarray(observed, dtype=np.float64)
    if row.ndim != 1 or toys.ndim != 2 or toys.shape[1] != row.size or not toys.size:
        raise InputError(
            "statistics",
            got=f"shapes {row.shape} of the data and {toys.shape} of the toys",
            expected="(J,) and (B, J) with at least one toy and one column",
        )
    pool = np.vstack([row, toys])
    pool = np.where(np.isfinite(pool), pool, np.inf)
    ordered = np.sort(pool, axis=0)
    below = [np.searchsorted(ordered[:, j], pool[:, j], side="left") for j in range(pool.shape[1])]
    return np.asarray(pool.shape[0] - np.stack(below, axis=1), dtype=np.int64)


def _standardised(observed: npt.ArrayLike, toys: Array) -> Array:
    """Return how far each row lies out in each column ``(B + 1, J)``, in its pool's units."""
    pool = np.vstack([np.asarray(observed, dtype=np.float64), toys])
    known = np.isfinite(pool)
    kept = np.where(known, pool, np.nan)
    out = np.full(pool.shape, np.inf)  # without a finite statistic: as extreme as can be
    for j in np.flatnonzero(known.any(axis=0)):
        values = kept[known[:, j], j]
        spread = values.std()
        out[known[:, j], j] = (values - values.mean()) / spread if spread > 0.0 else 0.0
    # Sums in another order differ by rounding, and that must be no evidence.
    return np.asarray(np.round(out, _DIGITS))


def _combined(
    observed: npt.ArrayLike, toys: Array, extreme: npt.NDArray[np.bool_], *, rule: str, null: str
) -> Combined:
    """Return the result, from which rows of the pool are at least as extreme as the data."""
    row = np.asarray(observed, dtype=np.float64)
    columns = tuple(Empirical(toys[:, j], null).p_value(float(row[j])) for j in range(row.size))
    return Combined(
        p_value=add_one(
            int(extreme[1:].sum()),
            toys.shape[0],
            null=null,
            n_failed=int((~np.isfinite(toys)).any(axis=1).sum()),
        ),
        columns=columns,
        smallest=int(np.argmin([p.value for p in columns])),
        rule=rule,
    )
