"""`ZukoSplineTrainer`: a neural spline flow of the zuko package (extra ``zuko``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.data.events import Events
from verisimile.data.transforms import feature_transform
from verisimile.density.input_map import InputMap
from verisimile.density.mapped import MappedDensity, WithoutCache, register_core
from verisimile.density.torch_scope import one_thread, seed_scope
from verisimile.density.training import Draft, LikelihoodRecipe, Student, refuse_signed

_FAMILY = "zuko-spline-flow"
_HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))
_BEYOND = 100.0


@dataclass(frozen=True, slots=True)
class _Size:
    features: int
    layers: int
    hidden: int
    bins: int


@dataclass(eq=False)
class ZukoCore(WithoutCache):
    """A trained zuko flow of standardised coordinates, evaluated in float64.

    Where a coordinate is beyond 100, the density, there below any double, is zero.
    """

    size: _Size
    parameters: Mapping[str, npt.NDArray[np.float32]]

    family = _FAMILY

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.size.features

    def log_prob(self, z: Array) -> Array:
        """Return log-densities ``(n,)``."""
        out = np.full(len(z), -np.inf)
        near = (np.abs(z) < _BEYOND).all(axis=1)
        if near.any():
            with one_thread(), torch.no_grad():
                u, log_det = self._net(torch.from_numpy(z[near]))
                base = -0.5 * u.square().sum(dim=1) - self.n_features * _HALF_LOG_2PI
                out[near] = (base + log_det).numpy()
        return out

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws ``(n, d)``."""
        u = torch.from_numpy(rng.standard_normal((n, self.n_features)))
        with one_thread(), torch.no_grad():
            return np.asarray(self._net.flow().transform.inv(u).numpy())

    def payload(self) -> Payload:
        """Return what `register_core` stores."""
        return Payload(dict(self.parameters), asdict(self.size))

    @cached_property
    def _net(self) -> _Net:
        with seed_scope(Seeds(0)):  # the fresh weights are overwritten
            net = _Net(self.size)
        with torch.no_grad():
            for name, values in net.flow.named_parameters():
                values.copy_(torch.from_numpy(np.array(self.parameters[name])))
        return net.double()


@dataclass(frozen=True, slots=True)
class ZukoSplineTrainer(LikelihoodRecipe[MappedDensity]):
    r"""Autoregressive rational-quadratic spline flow as zuko builds it.

    .. math:: \log p(x) = \log N(f(z(x)); 0, 1) + \log |\det f'| + \log |\det z'|

    A second implementation of the default recipe's family, to see what depends
    on the implementation.  Needs ``pip install "verisimile[zuko]"``.  With a single
    feature the default schedule is too short: let it train 60 epochs at 1e-2.

    Parameters
    ----------
    layers, hidden, bins
        Spline layers, width of the two hidden layers of their conditioners, bins.
    marginal_bins
        Quantile bins of the features' Gaussianisation; 0 leaves standardisation alone.
    learning_rate, batch, epochs, patience, clip
        Adam on half a cosine, with early stopping on the validation loss.

    References
    ----------
    Durkan et al., *Neural Spline Flows* (2019).
    """

    family = _FAMILY

    layers: int = 3
    hidden: int = 64
    bins: int = 8
    marginal_bins: int = 0
    learning_rate: float = 5e-3
    batch: int = 256
    epochs: int = 20
    patience: int = 8
    clip: float = 5.0

    def check(self, events: Events) -> None:
        """Raise what `fit` would say about package and sample, before any work is done."""
        _zuko()
        refuse_signed(events, "training")
        feature_transform(events)

    def draft(self, input_map: InputMap, student: Student) -> Draft[MappedDensity]:
        """Return network and model."""
        size = _Size(student.columns, self.layers, self.hidden, self.bins)
        net = _Net(size)

        def model() -> MappedDensity:
            named = net.flow.named_parameters()
            parameters = {name: values.detach().numpy().copy() for name, values in named}
            return MappedDensity(ZukoCore(size, parameters), input_map)

        return net, model


class _Net(torch.nn.Module):
    """The flow as `training.train` wants it; build it inside `torch_scope.seeded`."""

    def __init__(self, size: _Size) -> None:
        super().__init__()
        self.flow: Any = _zuko().NSF(
            size.features,
            0,
            transforms=size.layers,
            bins=size.bins,
            hidden_features=(size.hidden, size.hidden),
        )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return cast(tuple[Tensor, Tensor], self.flow().transform.call_and_ladj(z))


def _zuko() -> Any:  # noqa: ANN401  (an optional package without types)
    try:
        return import_module("zuko.flows")
    except ImportError:
        raise InputError(
            "zuko",
            got="no such package",
            expected="the package that ZukoSplineTrainer uses",
            remedy='pip install "verisimile[zuko]"',
        ) from None


def _rebuild(meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> ZukoCore:
    return ZukoCore(_Size(**meta), arrays)


register_core(_FAMILY, MappedDensity, _rebuild)
