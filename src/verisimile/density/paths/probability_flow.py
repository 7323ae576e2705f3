r"""The density of a diffusion model: the equation without noise that has the same marginals.

With the noise levels :math:`\bar\alpha = 1 / \cosh^2 \tau` (so that
:math:`\sqrt{1 - \bar\alpha} = \tanh \tau`), :math:`\tau = 0` at the events,

.. math:: \frac{dx}{d\tau} = \hat\epsilon(x, t(\tau)) - \tanh(\tau)\, x

carries the events to noise, and has no singular point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from verisimile.core.errors import InputError, require
from verisimile.density.mapped import MappedDensity, MappedSampler, register_core
from verisimile.density.paths.diffusion import CosineNoise, DiffusionCore
from verisimile.density.paths.training import net_output
from verisimile.density.paths.transport import TransportCore
from verisimile.density.protocol import Sampler

_FAMILY = "probability-flow"


@dataclass(eq=False)
class ProbabilityFlowCore(TransportCore):
    r"""Density of a trained denoiser of T `steps`, by its probability-flow equation.

    The network knows whole steps; between them the step is a monotone function of
    :math:`\tau`, and below the first level it is the first.

    References
    ----------
    Song et al., *Score-Based Generative Modeling through Stochastic Differential Equations*
    (2021), eqs. 13 and 39; Song, Meng and Ermon, *DDIM* (2021), eq. 14.
    """

    steps: int

    family = _FAMILY

    @property
    def ends(self) -> tuple[float, float]:
        """The last noise level, and none."""
        return float(self._levels[-1]), 0.0

    @cached_property
    def _levels(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.arctanh(np.sqrt(1.0 - CosineNoise(self.steps).signal))

    @cached_property
    def _step(self) -> PchipInterpolator:
        return PchipInterpolator(self._levels, np.arange(self.steps, dtype=np.float64))

    def _velocity(self, z: Tensor, t: float) -> Tensor:
        return self._noise(z, t) - math.tanh(t) * z

    def _noise(self, x: Tensor, t: float) -> Tensor:
        """Return the noise that the network sees in points ``(n, d)`` at the level `t`."""
        step = float(self._step(min(max(t, self._levels[0]), self._levels[-1])))
        times = torch.full((1, len(x)), step, dtype=x.dtype)
        return net_output(self.shape, self._weights, x[None], times)[0]


register_core(_FAMILY, MappedDensity, ProbabilityFlowCore.restored)


def probability_flow(model: Sampler, *, tolerance: float = 1e-6) -> MappedDensity:
    r"""Return the density of a trained diffusion model, with draws that follow it.

    .. math:: \log q(x_0) = \log N(x_T; 0, 1)
              + \int_0^{\tau_T} \mathrm{tr}\, \partial_x \frac{dx}{d\tau}\, d\tau

    It integrates to one for any network.  It is the density of the model's *own* random
    sampler only as far as the network is the exact score, and the steps are many: for a
    trained network these are two generators, whose samples a test may tell apart.  Where the
    network has never been (far from all events) neither means anything.

    Parameters
    ----------
    model
        What ``vs.density.DiffusionTrainer`` trained: a fit's `model`, or a member of an ensemble.
    tolerance
        Of the Runge–Kutta method, relative and absolute.

    Raises
    ------
    InputError
        If the model is no trained diffusion, or the tolerance is not positive.

    References
    ----------
    Song et al., *Score-Based Generative Modeling through Stochastic Differential Equations*
    (2021), sec. 4.3.
    """
    require(0.0 < tolerance < 1.0, "tolerance", got=tolerance, expected="a number in (0, 1)")
    if not (isinstance(model, MappedSampler) and isinstance(model.core, DiffusionCore)):
        raise InputError(
            "model",
            got=f"{model!r}",
            expected="a trained diffusion model (vs.density.DiffusionTrainer)",
            remedy="Flow matching has log_prob already.",
        )
    core = model.core
    own = ProbabilityFlowCore(core.shape, core.parameters, tolerance, core.steps)
    return MappedDensity(own, model.input_map)
