r"""A spline stack with Gaussian weights, trained by the evidence lower bound.

.. math:: L = E_{w \sim q}\left[ -\tfrac1n \sum_n \log p(x_n \mid w) \right]
              + \tfrac1n \mathrm{KL}(q \,\|\, p_0), \qquad p_0 = \prod_j N(w_j; 0, s)

One draw :math:`w = \mu + \sigma \epsilon` per batch carries the gradient.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from verisimile.density.nflows_backend import Parameters, export

__all__ = ["Variational"]


class Variational(torch.nn.Module):
    """The stack with random weights in training, and with their means in evaluation.

    The KL term is taken off the log-determinant, whose mean the loss contains.

    Parameters
    ----------
    stack
        A fresh stack; its weights become the means.
    n
        Number of training events.
    prior
        s, the width of the prior.
    initial
        First width of every weight's posterior.
    generator
        Of the weights in training.
    """

    def __init__(
        self,
        stack: torch.nn.Module,
        n: float,
        *,
        prior: float,
        initial: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.stack = stack
        self.n = n
        self.prior = prior
        self.generator = generator
        self.names = [name for name, _ in stack.named_parameters()]
        self.log_spread = torch.nn.ParameterList(
            torch.full_like(values, math.log(initial)) for values in stack.parameters()
        )
        modules = dict(stack.named_modules())
        # A masked weight is no weight: it counts neither in the draws nor in the KL.
        self.masks = [_mask(modules, name) for name in self.names]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs ``(n, d)`` and log-determinants ``(n,)``, less KL / n in training."""
        if not self.training:
            outputs: tuple[Tensor, Tensor] = self.stack(z)
            return outputs
        weights = {
            name: mean + log_spread.exp() * self._noise(mean)
            for name, mean, log_spread in zip(
                self.names, self.stack.parameters(), self.log_spread, strict=True
            )
        }
        u, log_det = torch.func.functional_call(self.stack, weights, (z,))
        return u, log_det - self.divergence() / self.n

    def divergence(self) -> Tensor:
        """Return KL(q‖p₀), in closed form."""
        total = torch.zeros(())
        for mean, log_spread, mask in zip(
            self.stack.parameters(), self.log_spread, self.masks, strict=True
        ):
            ratio = (2 * (log_spread - math.log(self.prior))).exp() + (mean / self.prior) ** 2
            each = 0.5 * (ratio - 1) - log_spread + math.log(self.prior)
            total = total + (each * mask).sum()
        return total

    def posterior(self) -> tuple[Parameters, Parameters]:
        """Return means and standard deviations by the names of `nflows_backend.export`."""
        mean = export(self.stack)
        kept = {name: values.detach().clone() for name, values in self.stack.named_parameters()}
        with torch.no_grad():
            for values, log_spread in zip(self.stack.parameters(), self.log_spread, strict=True):
                values.copy_(log_spread.exp())
            spread = export(self.stack)
            for name, values in self.stack.named_parameters():
                values.copy_(kept[name])
        return mean, {name: np.abs(values) for name, values in spread.items()}

    def _noise(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator)


def _mask(modules: dict[str, torch.nn.Module], name: str) -> Tensor:
    owner, _, part = name.rpartition(".")
    mask = getattr(modules[owner], "mask", None)
    return mask if part == "weight" and isinstance(mask, Tensor) else torch.ones(())
