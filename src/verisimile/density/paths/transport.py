r"""Densities of what a velocity field carries from noise to events, exact or by random probes.

.. math:: \dot z = v(z, t), \qquad
          \log q(z_1) = \log N(z_0; 0, 1) - \int_0^1 \mathrm{tr}\, \partial_z v \, dt
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import NumericsError, require, require_at_least
from verisimile.density.mapped import MappedDensity
from verisimile.density.paths.training import PathCore
from verisimile.density.protocol import DensityEstimator
from verisimile.density.torch_scope import one_thread

_CHUNK = 4096
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(eq=False)
class TransportCore(PathCore):
    """Density and sampler of a velocity field, solved by SciPy's adaptive Runge–Kutta method.

    Events are solved a few thousand at a time, and the root mean square of their local errors
    is controlled: a log-density depends on its companions, by less than its error.  The largest
    error of some thousand log-densities was 50 times `tolerance`, relative and absolute, on
    trained flows, the mean one far smaller.

    References
    ----------
    Dormand and Prince, J. Comput. Appl. Math. 6 (1980) 19 (the method, order 5).
    """

    tolerance: float

    dtype = torch.float64

    @property
    def ends(self) -> tuple[float, float]:
        """Times of the noise and of the events."""
        return 0.0, 1.0

    @abstractmethod
    def _velocity(self, z: Tensor, t: float) -> Tensor:
        """Return the velocity ``(n, d)`` at a time."""

    def log_prob(self, z: Array) -> Array:
        """Return log-densities ``(n,)``; a NumericsError if the tolerance is out of reach."""
        with one_thread(), torch.no_grad():
            return np.concatenate([self._log_probs(part, self._rate)[:, 0] for part in _chunks(z)])

    def estimated(self, z: Array, probes: int, rng: np.random.Generator) -> Array:
        r"""Return log-densities ``(n, probes)``, each with one random probe for the trace.

        .. math:: \mathrm{tr}\, \partial_z v = E\, \epsilon^T (\partial_z v)\, \epsilon, \qquad
                  \epsilon_j = \pm 1

        A probe is the same all along its path, and each event has its own.
        """
        signs = rng.choice([-1.0, 1.0], size=(len(z), probes, self.n_features))
        parts = []
        with one_thread(), torch.no_grad():
            for part, own in zip(_chunks(z), _chunks(signs), strict=True):
                along = torch.from_numpy(own.swapaxes(0, 1).copy())

                def rate(y: Tensor, t: float, along: Tensor = along) -> tuple[Tensor, Tensor]:
                    v, changes = self._changes(y, t, along)
                    return v, (along * changes).sum(dim=2).T

                parts.append(self._log_probs(part, rate))
        return np.concatenate(parts)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws ``(n, d)``; a NumericsError if the tolerance is out of reach."""
        noise = rng.standard_normal((n, self.n_features))
        with one_thread(), torch.no_grad():
            parts = [
                self._solved(lambda y, t: self._velocity(y, t).numpy(), chunk, self.ends)
                for chunk in _chunks(noise)
            ]
        return np.concatenate(parts)

    def _log_probs(self, z: Array, rate: Callable[[Tensor, float], tuple[Tensor, Tensor]]) -> Array:
        """Return log-densities ``(n, K)``, of a rate with K divergences."""
        d = self.n_features
        columns = rate(torch.from_numpy(z), self.ends[1])[1].numel() // max(len(z), 1) or 1

        def both(state: Tensor, t: float) -> Array:
            v, divergence = rate(state[:, :d].contiguous(), t)
            return torch.column_stack([v, divergence]).numpy()

        start = np.column_stack([z, np.zeros((len(z), columns))])
        end = self._solved(both, start, self.ends[::-1])
        with np.errstate(over="ignore"):  # far events underflow to a density of zero
            base = -0.5 * np.square(end[:, :d]).sum(axis=1) - d * _HALF_LOG_2PI
        return np.asarray(base[:, None] + end[:, d:])

    def _solved(
        self, rate: Callable[[Tensor, float], Array], start: Array, times: tuple[float, float]
    ) -> Array:
        """Return the state ``(n, k)`` at the second of two times."""
        if not start.size:
            return start
        path = solve_ivp(
            lambda t, y: rate(torch.from_numpy(y.reshape(start.shape)), t).ravel(),
            times,
            start.ravel(),
            t_eval=times[1:],
            rtol=self.tolerance,
            atol=self.tolerance,
        )
        if not path.success:
            raise NumericsError(
                "continuous flow",
                got=path.message,
                expected=f"a solution to a tolerance of {self.tolerance:g}",
                remedy="Ask for a larger tolerance, or train a smaller or shorter flow.",
            )
        return np.asarray(path.y[:, -1].reshape(start.shape))

    def _rate(self, z: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """Return the velocity ``(n, d)`` and its divergence ``(n,)``."""
        units = torch.eye(z.shape[1], dtype=z.dtype)
        v, changes = self._changes(z, t, units[:, None].expand(-1, *z.shape))
        return v, torch.diagonal(changes, dim1=0, dim2=2).sum(dim=1)

    def _changes(self, z: Tensor, t: float, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the velocity ``(n, d)`` and its changes along directions ``(K, n, d)``."""

        def push(direction: Tensor) -> tuple[Tensor, Tensor]:
            pair = torch.func.jvp(lambda y: self._velocity(y, t), (z,), (direction,))
            return cast(tuple[Tensor, Tensor], pair)

        # The velocity is the same for all directions, and computed once.
        v, changes = torch.func.vmap(push)(directions)
        return v[0], changes


def _chunks(rows: Array) -> list[Array]:
    # At least one, so that no rows give an empty answer.
    return [rows[i : i + _CHUNK].copy() for i in range(0, max(len(rows), 1), _CHUNK)]


def estimated_log_prob(
    model: DensityEstimator, x: npt.ArrayLike, rng: np.random.Generator, *, probes: int = 8
) -> tuple[Array, Array]:
    r"""Return log-densities of a continuous flow from random probes, and their standard errors.

    .. math:: \widehat{\log q} = \frac1K \sum_k \log q_k, \qquad
              \sigma^2 = \frac{1}{K (K - 1)} \sum_k (\log q_k - \widehat{\log q})^2

    K Jacobian-vector products at each step in place of d: for many features.  Unbiased for the
    *logarithm*: a mean of log-densities (a likelihood) is right on average, while a density
    is too large by a factor :math:`e^{\sigma^2 / 2}`.  The errors of few probes are rough, and do
    not hold what the solver's tolerance leaves.

    Parameters
    ----------
    model
        Flow matching, or what `probability_flow` returned.
    x
        Events ``(n, d)`` in original units.
    rng
        Of the probes.
    probes
        K, two or more.

    Returns
    -------
    tuple
        Natural log-densities and standard errors, ``(n,)`` each; outside the support minus
        infinity and zero.

    References
    ----------
    M. F. Hutchinson, Commun. Stat. Simul. 19 (1990) 433; Grathwohl et al., *FFJORD* (2019).
    """
    require_at_least(2, probes, "probes")
    core = model.core if isinstance(model, MappedDensity) else None
    require(
        isinstance(core, TransportCore),
        "model",
        got=f"{model!r}",
        expected="a density that solves an equation: flow matching or a probability flow",
        remedy="Others have log_prob, which is exact.",
    )
    flow, solver = cast(MappedDensity, model), cast(TransportCore, core)
    matrix = as_matrix(x, "x", columns=flow.n_features)
    errors = np.zeros(len(matrix))

    def averaged(z: Array, inside: npt.NDArray[np.bool_]) -> Array:
        values = solver.estimated(z, probes, rng)
        errors[inside] = values.std(axis=1, ddof=1) / math.sqrt(probes)
        return np.asarray(values.mean(axis=1))

    return flow.input_map.log_density(matrix, averaged), errors
