"""`MixtureNetworkTrainer`: an autoregressive mixture of Gaussians by maximum likelihood."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from verisimile.core.canonical import JSON
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.density.mapped import MappedDensity
from verisimile.density.mixture_network import MixtureNetwork, MixtureNetworkCore
from verisimile.density.protocol import Fitted
from verisimile.density.settings import require_positive
from verisimile.density.students import prepare_one
from verisimile.density.torch_scope import seeded
from verisimile.density.training import Schedule, train

__all__ = ["MixtureNetworkTrainer"]


@dataclass(frozen=True, slots=True)
class MixtureNetworkTrainer:
    r"""Each feature a mixture of K Gaussians whose parameters depend on the features before it.

    .. math:: \log p(x) = \sum_j \log \sum_k w_{jk} N(z_j; \mu_{jk}, \sigma_{jk})
              + \log |\det z'|

    The order of the features matters; widths lie between e⁻⁶ and e³ standard
    deviations.

    Parameters
    ----------
    components
        K.
    hidden
        Width of the two hidden layers of each feature's network.
    marginal_bins
        Quantile bins of the features' Gaussianisation; 0 leaves standardisation alone.
    learning_rate, batch, epochs, patience, clip
        Adam on half a cosine, with early stopping on the validation loss.

    Raises
    ------
    InputError
        If a setting is out of range.

    References
    ----------
    Bishop, *Mixture Density Networks* (1994).
    Uria, Murray and Larochelle, *RNADE* (2013).
    """

    components: int = 8
    hidden: int = 32
    marginal_bins: int = 0
    learning_rate: float = 5e-3
    batch: int = 256
    epochs: int = 40
    patience: int = 10
    clip: float = 5.0

    def __post_init__(self) -> None:
        require_positive(self)

    def config(self) -> dict[str, JSON]:
        """Return all settings."""
        return {"family": MixtureNetworkCore.family, "version": 1, **asdict(self)}

    def fit(self, training: Events, validation: Events, seeds: Seeds) -> Fitted:
        """Train the networks; the same arguments give the same bits.

        Raises
        ------
        InputError
            For negative weights, a constant feature, or different features.
        NumericsError
            If the loss is no longer finite.
        """
        started = time.perf_counter()
        input_map, student = prepare_one(training, validation, seeds, self.marginal_bins)
        with seeded(seeds.at("initial")):
            net = MixtureNetwork(training.d, self.components, self.hidden)
        schedule = Schedule(self.learning_rate, self.batch, self.epochs, self.patience, self.clip)
        curves = train(net, student.training, student.validation, schedule, seeds)
        model = MappedDensity(MixtureNetworkCore(net.layers()), input_map)
        return curves.fitted(model, started)
