"""`GaussianMixtureTrainer`: a mixture of Gaussians by expectation maximisation."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload
from verisimile.data.events import Events, match_features
from verisimile.data.truths import GaussianMixtureTruth
from verisimile.density.input_map import InputMap
from verisimile.density.mapped import MappedDensity, register_core
from verisimile.density.protocol import Fitted
from verisimile.density.strangers.sklearn import sklearn_mixture

_FAMILY = "gaussian-mixture"


@dataclass(frozen=True, slots=True, eq=False)
class MixtureCore:
    """A Gaussian mixture of standardised coordinates."""

    mixture: GaussianMixtureTruth

    family = _FAMILY

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.mixture.n_features

    def log_prob(self, z: Array) -> Array:
        """Return log-densities ``(n,)``."""
        # Beyond 1e150 a distance may be inf - inf; the density is zero long before.
        return self.mixture.log_prob(z.clip(-1e150, 1e150))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return draws ``(n, d)``."""
        return self.mixture.sample(n, rng)

    def payload(self) -> Payload:
        """Return what `register_core` stores."""
        parts = ("weights", "means", "covariances")
        return Payload({name: getattr(self.mixture, name) for name in parts}, {})


@dataclass(frozen=True, slots=True)
class GaussianMixtureTrainer:
    r"""Mixture of Gaussians :math:`\sum_k w_k N(z; \mu_k, \Sigma_k)` of standardised features.

    Trained by expectation maximisation (scikit-learn); of several numbers of
    components, the one with the largest mean log-density of the validation events.

    Parameters
    ----------
    components
        Numbers K to try.
    starts
        Initialisations for each.
    floor
        Smallest variance, in units of the feature's: without one, a component
        that shrinks onto repeated events has a density without bound.

    References
    ----------
    Dempster, Laird and Rubin, J. R. Stat. Soc. B 39 (1977) 1.
    """

    components: tuple[int, ...] = (1, 2, 4, 8, 16)
    starts: int = 1
    floor: float = 1e-4

    def __post_init__(self) -> None:
        name, got = "GaussianMixtureTrainer", repr(self)
        counted = self.components and min(*self.components, self.starts) >= 1
        require(counted, name, got=got, expected="positive numbers of components and starts")
        require(self.floor > 0, name, got=got, expected="a positive floor")

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        components: JSON = list(self.components)
        return {"family": _FAMILY, "version": 1, **asdict(self), "components": components}

    def check(self, events: Events) -> None:
        """Raise what `fit` would say: for weighted events, or fewer than components."""
        require(
            events.weights is None,
            "training weights",
            got="weighted events",
            expected="events without weights",
            remedy="Use KernelDensityTrainer or a flow, which accept weights.",
        )
        most = max(self.components)
        require(
            events.n >= most, "training", got=f"{events.n} events", expected=f">= {most} events"
        )

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted[MappedDensity]:
        """Fit every number of components and keep the best; one value of the curves for each.

        Raises
        ------
        InputError
            For weighted events, a constant feature, or different features.
        """
        started = time.perf_counter()
        validation = match_features(validation, training.features)
        self.check(training)
        input_map = InputMap.fit(training, 0)
        z, _ = input_map.forward(training.x)
        models = [MappedDensity(self._core(z, k, seeds), input_map) for k in self.components]
        curves = [
            np.array([-float(np.average(m.log_prob(e.x), weights=e.weights)) for m in models])
            for e in (training, validation)
        ]
        best = int(np.argmin(curves[1]))
        seconds = time.perf_counter() - started
        meta = {"seconds": seconds, "components": self.components[best]}
        return Fitted(models[best], curves[0], curves[1], best, meta)

    def _core(self, z: Array, k: int, seeds: Seeds) -> MixtureCore:
        fit = GaussianMixture(
            k,
            n_init=self.starts,
            reg_covar=self.floor,
            random_state=seeds.at("mixture", k).integer() % 2**32,
        )
        with warnings.catch_warnings():
            # An unfinished ascent is still a density, judged by the validation events.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit.fit(z)
        return MixtureCore(sklearn_mixture(fit))


def _rebuild(meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> MixtureCore:  # noqa: ARG001
    return MixtureCore(
        GaussianMixtureTruth(arrays["weights"], arrays["means"], arrays["covariances"])
    )


register_core(_FAMILY, MappedDensity, _rebuild)
