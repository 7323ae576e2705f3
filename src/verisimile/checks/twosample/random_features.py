"""Kernels by random Fourier features: sums over pairs of any number of events, in linear time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from verisimile.core.arrays import Array
from verisimile.samples.draws import Labels
from verisimile.samples.pair_sums import Masses, Sums

_ENTRIES = 1_000_000  # 8 MiB of cosines, and of sines, at a time


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    r"""Kernels that are means of waves, of all pairs of pooled events.

    .. math:: k_j(x, y) = c_j + \sum_f m_{jf} \cos \omega_f \cdot (x - y), \qquad
              \sum_{il} u_i u_l k_j(x_i, x_l)
              = c_j \Big(\sum_i u_i\Big)^2
              + \sum_f m_{jf} \Big|\sum_i u_i e^{i \omega_f \cdot x_i}\Big|^2

    Time goes with the number of events, and every event counts.

    Attributes
    ----------
    x
        Coordinates ``(N, d)``.
    weights
        ``(N,)``.
    frequencies
        :math:`\omega`, ``(F, d)``.
    measure
        m ``(J, F)``.
    constant
        c ``(J,)``.

    References
    ----------
    A. Rahimi, B. Recht, NeurIPS 20 (2007) 1177.
    """

    x: Array
    weights: Array
    frequencies: Array
    measure: Array
    constant: Array

    def sums(self, labels: Labels) -> Sums:
        """Return the pair sums of relabelings ``(R, N)``, as :class:`Pairs` does."""
        count = len(self.frequencies)
        chosen, total = np.zeros((len(labels), 2 * count)), np.zeros(2 * count)
        for rows, waves in self._waves():
            scaled = waves * self.weights[rows, None]
            chosen += labels[:, rows].astype(np.float64) @ scaled
            total += scaled.sum(axis=0)
        mass, other = Masses.of(labels, self.weights), total - chosen
        return Sums(
            first=self._kernel(chosen, chosen) + self.constant[:, None] * mass.first**2,
            second=self._kernel(other, other) + self.constant[:, None] * mass.second**2,
            across=self._kernel(chosen, other)
            + self.constant[:, None] * (mass.first * mass.second),
        )

    def quadratic(self, signed: Array) -> Array:
        """Return v'Kv ``(J, R)`` of rows of signed masses with the sum zero ``(R, N)``."""
        total = np.zeros((len(signed), 2 * len(self.frequencies)))
        for rows, waves in self._waves():
            total += signed[:, rows] @ waves
        return self._kernel(total, total)

    def _kernel(self, left: Array, right: Array) -> Array:
        cosines, sines = np.split(left * right, 2, axis=1)
        return np.asarray(self.measure @ (cosines + sines).T)

    def _waves(self) -> Iterator[tuple[slice, Array]]:
        step = max(64, _ENTRIES // len(self.frequencies))
        for start in range(0, len(self.x), step):
            rows = slice(start, start + step)
            phase = self.x[rows] @ self.frequencies.T
            yield rows, np.hstack([np.cos(phase), np.sin(phase)])


def gaussian_features(
    x: Array, weights: Array, widths: tuple[float, ...], count: int, rng: np.random.Generator
) -> Features:
    r"""Return J kernels :math:`e^{-|x - y|^2 / 2 h_j^2}`, each a mean of `count` waves.

    Frequencies of a width h are normal with the standard deviation 1/h, in orthogonal
    directions as far as there are.
    """
    d = x.shape[1]
    parts = [
        _directions(count, d, rng) * (np.sqrt(rng.chisquare(d, size=count)) / width)[:, None]
        for width in widths
    ]
    measure = np.kron(np.eye(len(widths)), np.full((1, count), 1.0 / count))
    return Features(x, weights, np.concatenate(parts), measure, np.zeros(len(widths)))


def distance_features(x: Array, weights: Array, count: int, rng: np.random.Generator) -> Features:
    r"""Return the kernel :math:`\|x - y\|`, up to what distinguishes `count` waves from all.

    .. math:: \|z\| = \frac{A_d}{C_d} \int d\theta \int_0^\infty ds\,
              \big(1 - \cos(\theta \cdot z / s)\big), \qquad
              \frac{A_d}{C_d} = \frac{2\,\Gamma((d + 1)/2)}{\sqrt\pi\,\Gamma(d/2)}

    with directions uniform on the sphere and s, one over the radius of a frequency, half
    Cauchy in equal strata: wave lengths of all sizes, those far beyond the sample as well.

    References
    ----------
    G. J. Székely, M. L. Rizzo, J. Stat. Plan. Inference 143 (2013) 1249 (the energy
    distance as an integral over characteristic functions).
    """
    d = x.shape[1]
    # The middle of each stratum: the last of them would otherwise have any weight.
    scale = np.tan(0.5 * np.pi * (rng.permutation(count) + 0.5) / count)
    ratio = np.exp(special.gammaln(0.5 * (d + 1)) - special.gammaln(0.5 * d))
    measure = np.sqrt(np.pi) * ratio * (1.0 + scale**2) / count
    frequencies = _directions(count, d, rng) / scale[:, None]
    return Features(x, weights, frequencies, -measure[None], np.array([measure.sum()]))


def _directions(count: int, d: int, rng: np.random.Generator) -> Array:
    """Return unit vectors ``(count, d)`` uniform on the sphere, orthogonal in groups of d."""
    groups = rng.normal(size=(-(-count // d), d, d))
    turned, upper = np.linalg.qr(groups)
    signs = np.sign(np.diagonal(upper, axis1=1, axis2=2))
    return np.asarray((turned * signs[:, None, :]).transpose(0, 2, 1).reshape(-1, d)[:count])
