"""Fréchet distance between two samples, of many relabelings at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import linalg

from verisimile.checks.twosample.statistics.protocol import in_battery
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate, Result, register
from verisimile.data.events import match_features
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import NormalScores
from verisimile.samples.moments import (
    MomentSums,
    checked_sample,
    jackknife_error,
    mass_moments,
    membership,
    pair_chunk,
    subset_sums,
)
from verisimile.samples.pool import MassRows

_BLOCKS, _FEW_BLOCKS, _MANY_FEATURES = 16, 4, 256


@dataclass(frozen=True, slots=True)
class Frechet:
    r"""Squared Fréchet distance of the two samples' means and unbiased covariances.

    It sees means, variances and correlations, and nothing else.  Its value is
    biased upwards: by :math:`(1/n + 1/m)(d + d(d + 1)/4)` for equal Gaussians of
    identity covariance.  Permutations share that bias, so the p-value is
    valid; for a value without it, see :func:`frechet_distance`.

    References
    ----------
    As :func:`gaussian_frechet`.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> pooled = rng.normal(size=(400, 2))
    >>> prepared = Frechet().prepare(pooled, np.ones(400), rng)
    >>> bool(prepared.values(np.arange(400)[None] < 200)[0] < 0.1)
    True
    """

    name: ClassVar[str] = "frechet"
    # Relabelings exchange covariances, and with negative weights they need not be such.
    weights: ClassVar[str] = "positive"

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> PreparedFrechet:
        """Return the statistic of a pooled sample ``(N, d)`` with weights ``(N,)``."""
        centre = np.average(pooled, axis=0, weights=weights)
        return PreparedFrechet(pooled - centre, weights, int(rng.integers(2**63)))


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFrechet:
    """The pooled sample around its mean, so that sums of squares lose no digits."""

    centred: Array
    weights: Array
    seed: int

    def values(self, labels: BoolArray) -> Array:
        """Return the squared distance ``(R,)`` of relabelings ``(R, N)``."""
        if (self.weights < 0.0).any():
            raise InputError(
                "weights",
                got=f"{int((self.weights < 0.0).sum())} negative weights",
                expected="weights >= 0: the covariance of a signed sample need not be one",
                remedy="Use a statistic that takes signed weights, such as the kernel distance.",
            )
        everything = subset_sums(self.centred, self.weights, np.ones_like(labels[:1]))
        chunk, found = pair_chunk(self.centred.shape[1]), []
        for start in range(0, labels.shape[0], chunk):
            first = subset_sums(self.centred, self.weights, labels[start : start + chunk])
            found.append(distance_of_sums(first, everything.without(first)))
        return np.concatenate(found)

    def of_masses(self, rows: MassRows) -> Array:
        """Return the squared distance of each pair of mass rows, ``(R,)``.

        Covariances are weighted by masses, without a factor for the number of events; where
        negative masses leave a direction without a positive variance, its root is zero.
        """
        chunk = pair_chunk(self.centred.shape[1])
        return np.concatenate(
            [
                gaussian_frechet(
                    *mass_moments(self.centred, rows.first[start : start + chunk]),
                    *mass_moments(self.centred, rows.second[start : start + chunk]),
                )
                for start in range(0, len(rows.first), chunk)
            ]
        )

    def details(self, labels: BoolArray) -> Mapping[str, float]:
        """Return the value without bias and its error for one labeling ``(1, N)``.

        Nothing with negative weights, or if a sample is too small to be divided into blocks.
        """
        chosen = labels[0]
        blocks = _FEW_BLOCKS if self.centred.shape[1] > _MANY_FEATURES else _BLOCKS
        signed = bool((self.weights < 0.0).any())
        if signed or min(chosen.sum(), (~chosen).sum()) < 2 * blocks:
            return {}
        found = frechet_distance(
            self.centred[chosen],
            self.centred[~chosen],
            np.random.default_rng(self.seed),
            reference_weights=self.weights[chosen],
            generated_weights=self.weights[~chosen],
            blocks=blocks,
        ).extrapolated
        return {"extrapolated": found.value, "extrapolated error": found.error}


@register("frechet-distance", 1)
@dataclass(frozen=True, slots=True)
class FrechetDistance(Result):
    """Squared Fréchet distance of two samples, as it is and extrapolated.

    Attributes
    ----------
    plain
        Of all events; biased upwards by a term in 1/n + 1/m.
    extrapolated
        Without that term, and its error.  Near zero it may be negative.
    bias
        What the extrapolation removed.
    n_first, n_second
        Numbers of events.
    blocks
        Random blocks that each sample was divided into.
    """

    plain: float
    extrapolated: Estimate
    bias: float
    n_first: int
    n_second: int
    blocks: int


def frechet_distance(
    reference: EventsLike,
    generated: EventsLike,
    rng: np.random.Generator,
    *,
    reference_weights: npt.ArrayLike | None = None,
    generated_weights: npt.ArrayLike | None = None,
    blocks: int = 16,
) -> FrechetDistance:
    r"""Return the squared Fréchet distance, extrapolated to infinite samples.

    The plain distance has mean :math:`d^2 + c\,e + O(e^2)` with
    :math:`e = 1/n + 1/m`, so that distances of half samples, drawn **without**
    replacement, reveal the bias:

    .. math:: d^2_\infty = d^2 - \frac{\overline{d^2_{half}} - d^2}{e_{half}/e - 1}
              = 2 d^2 - \overline{d^2_{half}}

    Batches of size b drawn with replacement out of n have mean
    :math:`d^2 + c (1/b + 1/n)`: extrapolating them in :math:`1/b` leaves the
    whole bias :math:`c/n` where it was.

    Each sample is divided into random blocks, and the halves are those of a
    Hadamard design: for a quadratic bias their mean is that of *all* halves made of
    these blocks.  Half A of one sample meets both halves of the other.  The
    error is the jackknife over pairs of blocks; it is right for distances that
    differ from zero, and up to :math:`\sqrt 2` too large for equal
    distributions, for which the permutation p-value of :class:`Frechet` is the better judge.

    Parameters
    ----------
    reference, generated
        Features ``(n, d)`` and ``(m, d)``.  The distance is in their units: scale
        them first, both samples with the same numbers.
    rng
        Divides the samples into blocks.
    reference_weights, generated_weights
        Event weights, by default those of the events, not negative.
    blocks
        A power of two, at least 4.  With more than some 300 features 4 or 8 save
        time, at the price of a less certain error.

    Raises
    ------
    InputError
        For unusable samples, negative weights, or blocks of fewer than two events.

    References
    ----------
    L. F. Richardson, Phil. Trans. R. Soc. A 210 (1911) 307; in 1/n for FID:
    M. J. Chong, D. Forsyth, arXiv:1911.07023; balanced halves: P. J. McCarthy,
    Rev. Int. Stat. Inst. 37 (1969) 239; the jackknife errs upwards: B. Efron,
    C. Stein, Ann. Stat. 9 (1981) 586.
    """
    first, second = comparable(reference=reference, generated=generated)
    second = match_features(second, first.features)
    ours = first.weights if reference_weights is None else reference_weights
    theirs = second.weights if generated_weights is None else generated_weights
    x, wx = _sample(first.x, ours, "reference", blocks)
    y, wy = _sample(second.x, theirs, "generated", blocks)
    if blocks & (blocks - 1):
        raise InputError("blocks", got=blocks, expected="a power of two, at least 4")
    centre = np.average(x, axis=0, weights=wx)
    pair = (
        subset_sums(x - centre, wx, membership(x.shape[0], blocks, rng)),
        subset_sums(y - centre, wy, membership(y.shape[0], blocks, rng)),
    )
    plain, value = _extrapolated(pair, np.ones(blocks))
    left_out = 1.0 - np.eye(blocks)
    replicas = np.array([_extrapolated(pair, kept)[1] for kept in left_out])
    extrapolated = Estimate(value, jackknife_error(replicas))
    return FrechetDistance(plain, extrapolated, plain - value, x.shape[0], y.shape[0], blocks)


def _sample(
    values: npt.ArrayLike,
    weights: npt.ArrayLike | None,
    name: str,
    blocks: int,
) -> tuple[Array, Array]:
    x, w = checked_sample(values, weights, name, blocks)
    if (w < 0.0).any():
        raise InputError(
            f"{name} weights",
            got=f"{int((w < 0.0).sum())} negative weights",
            expected="weights >= 0",
            remedy="The kernel distance takes signed weights.",
        )
    return x, w


def _extrapolated(pair: tuple[MomentSums, MomentSums], kept: Array) -> tuple[float, float]:
    """Return the plain and the extrapolated distance of the blocks that are kept ``(B,)``."""
    whole = [sums.combined(kept[None]) for sums in pair]
    plain = float(distance_of_sums(whole[0], whole[1])[0])
    halves, rates = [], []
    for signs in linalg.hadamard(kept.size)[1:]:
        first, second = (sums.combined(_meetings(signs, k) * kept) for k, sums in enumerate(pair))
        halves.append(distance_of_sums(first, second))
        rates.append(first.inverse_size() + second.inverse_size())
    rate = np.mean(rates) / (whole[0].inverse_size() + whole[1].inverse_size())[0]
    return plain, float(plain - (np.mean(halves) - plain) / (rate - 1.0))


def _meetings(signs: npt.NDArray[np.int64], sample: int) -> Array:
    """Return which blocks of a sample are in the four meetings of halves, ``(4, B)``."""
    half = (signs > 0).astype(np.float64)
    other = 1.0 - half
    return np.stack([half, half, other, other] if sample == 0 else [half, other, half, other])


def gaussian_frechet(mean_1: Array, cov_1: Array, mean_2: Array, cov_2: Array) -> Array:
    r"""Return squared Fréchet (2-Wasserstein) distances between Gaussians, ``(R,)``.

    .. math:: d^2 = |\mu_1 - \mu_2|^2
              + \mathrm{tr}\big(S_1 + S_2 - 2 (S_1^{1/2} S_2 S_1^{1/2})^{1/2}\big)

    The trace of the root is the sum of the roots of the eigenvalues of a
    symmetric matrix: no square root of the non-symmetric :math:`S_1 S_2` is
    taken, which has spurious imaginary parts where the covariances are singular.

    Parameters
    ----------
    mean_1, mean_2
        ``(R, d)``.
    cov_1, cov_2
        Symmetric positive semi-definite, ``(R, d, d)``.

    References
    ----------
    D. C. Dowson, B. V. Landau, J. Multivariate Anal. 12 (1982) 450, eq. 16;
    as FID: M. Heusel et al., arXiv:1706.08500, eq. 6; as FPD: R. Kansal et al.,
    arXiv:2211.10295.
    """
    shift = ((mean_1 - mean_2) ** 2).sum(axis=1)
    traces = np.trace(cov_1, axis1=1, axis2=2) + np.trace(cov_2, axis1=1, axis2=2)
    root = _root(cov_1)
    spectrum = _positive(np.asarray(np.linalg.eigvalsh(root @ cov_2 @ root), dtype=np.float64))
    return np.asarray(shift + traces - 2.0 * np.sqrt(spectrum).sum(axis=1))


def distance_of_sums(first: MomentSums, second: MomentSums) -> Array:
    """Return the squared distance of each pair of subsets, ``(R,)``."""
    return gaussian_frechet(first.mean(), first.covariance(), second.mean(), second.covariance())


def _root(cov: Array) -> Array:
    values, vectors = np.linalg.eigh(cov)
    scaled = vectors * np.sqrt(_positive(values))[:, None, :]
    return np.asarray(scaled @ np.swapaxes(vectors, 1, 2))


def _positive(values: Array) -> Array:
    # Rounding alone makes an eigenvalue of eps * largest, whose root is not small.
    floor = np.finfo(np.float64).eps * values.shape[-1] * values[..., -1:]
    return np.where(values > floor, values, 0.0)


in_battery("frechet", Frechet(), sees="means and covariances", coordinates=NormalScores())
