"""The weight fit: its covariance, what is propagated from it, and the goodness-of-fit test.

Members are analytic, so that the true weights are known: a truth in their span, a truth outside
(then the weights that infinitely many events would give), and members that are near copies.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import stats

import verisimile as vs
from analytic import Blend, draw, family, log_densities, near_copies
from gauntlet.claims import Claim, Interval, P, Refused, known
from gauntlet.registry import bench
from verisimile.checks.goodness.alternatives.protocol import Alternative
from verisimile.checks.goodness.null import Calibration
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.mixture.fit import WeightFit

TOYS = 99
KERNELS = vs.GaussianKernels(count=12, width=0.7, reference=400)
TILT = vs.ExponentialTilt(count=8, width=0.7)
EDGES = np.array([-9.0, -1.0, -0.3, 0.4, 1.1, 9.0])
POINTS = np.array([[0.0, 0.0], [1.5, -0.5]])


@dataclass(frozen=True)
class Fit:
    """Members and events of a weight fit.

    Attributes
    ----------
    members
        M.
    events
        n_w of the weight fit.
    kind
        ``span``, ``outside``, ``copies`` or ``corner`` (six equal Gaussians, a truth whose
        positivity binds at few events).
    ratio
        n_D / n_w of a goodness-of-fit test.
    """

    members: int
    events: int
    kind: str = "span"
    ratio: float = 1.0

    @property
    def label(self) -> str:
        """All of them."""
        ratio = "" if self.ratio == 1.0 else f", n_D / n_w = {self.ratio:g}"
        return f"M = {self.members}, n_w = {self.events}, {self.kind}{ratio}"

    @property
    def ordinary(self) -> bool:
        """A hundred events, and five for each weight."""
        return self.events >= max(100, 5 * self.members) and self.kind != "copies"

    def basis(self) -> list[Blend]:
        """Return the members."""
        if self.kind == "corner":
            means = np.array([[x, y] for x in (-1.0, 0.0, 1.0) for y in (-1.0, 1.0)])
            return [Blend(m[None], np.ones((1, 2)), np.ones(1)) for m in means]
        return near_copies(self.members) if self.kind == "copies" else family(self.members)

    def shares(self) -> Array:
        """Return the weights of the truth in the span."""
        if self.kind == "corner":
            return np.full(6, 1.0 / 6.0)
        steps = np.arange(self.members, 0.0, -1.0)
        return np.asarray(steps / steps.sum())

    def truth(self, n: int, rng: np.random.Generator) -> Array:
        """Return n events."""
        x = draw(self.basis(), self.shares(), n, rng)
        if self.kind != "outside":
            return x
        moved = rng.random(n) < 0.1
        return np.where(moved[:, None], rng.normal([1.2, -1.2], 0.4, (n, 2)), x)

    def weights(self) -> Array:
        """Return what the fit estimates."""
        return self.shares() if self.kind != "outside" else _limit(self.members)


@cache
def _limit(members: int) -> Array:
    """Return the weights of very many events of a truth outside the span."""
    setting = Fit(members, 0, "outside")
    x = setting.truth(400_000, np.random.default_rng(20_260))
    return vs.fit_weights(log_densities(setting.basis(), x)).weights


def _fitted(setting: Fit, seeds: Seeds) -> vs.Mixture:
    run = vs.Run(seeds)
    ensemble = vs.gather_ensemble(run, setting.basis())
    x = setting.truth(setting.events, seeds.at("events").numpy())
    with warnings.catch_warnings():  # the result keeps the same words
        warnings.simplefilter("ignore", vs.VerisimileWarning)
        return vs.fit_mixture(run, ensemble, vs.Events(x))


_SIZES = (25, 50, 100, 400, 2000, 10_000)
FITS = (
    *(Fit(6, n) for n in _SIZES),
    *(Fit(6, n, "corner") for n in (50, 100, 400)),
    *(Fit(6, n, "outside") for n in (100, 400, 2000)),
    Fit(6, 400, "copies"),
    Fit(2, 100),
    Fit(20, 100),
    Fit(20, 2000),
    Fit(60, 2000),
    Fit(60, 10_000),
)


@bench(
    "The weight fit",
    FITS,
    covers=(
        "fit_weights",
        "fit_mixture",
        "Mixture",
        "WeightFit",
        "HistogramEstimate",
        "Estimate",
    ),
    repetitions=300,
)
def fitted_weights(setting: Fit, seeds: Seeds) -> Mapping[str, Claim]:
    """All weights by their T squared, and errors of a mean, a bin content and a density."""
    mixture, truth = _fitted(setting, seeds), setting.weights()
    if not mixture.fit.record.converged:
        # An unconverged fit that passes in silence makes claims about other weights.
        return {"weights: T2": P(0.0)}
    basis, run = setting.basis(), vs.Run(seeds.at("draws"))
    mean = mixture.expectation(lambda x: x[:, 0], run)
    table = mixture.histogram(EDGES, feature="x0", run=run)
    density = mixture.std(POINTS)
    values = np.exp(mixture.log_prob(POINTS))
    true_density = np.exp(log_densities(basis, POINTS)) @ truth
    claims: dict[str, Claim] = {
        "mean": known(mean.value, mean.error, float(truth @ [_mean(b) for b in basis])),
        "bin content": known(
            float(table.values[1]), float(table.errors[1]), float(truth @ [_bin(b) for b in basis])
        ),
    }
    for word, value, error, true in zip(
        ("centre", "flank"), values, density, true_density, strict=True
    ):
        claims[f"density at the {word}"] = known(float(value), float(error), float(true))
    if setting.members > 1:
        claims["weights: T2"] = _t_squared(mixture.fit, truth)
    return claims


def _mean(member: Blend) -> float:
    return float(member.shares @ member.means[:, 0])


def _bin(member: Blend) -> float:
    cdf = stats.norm.cdf((EDGES[1:3, None] - member.means[:, 0]) / member.sigmas[:, 0])
    return float(np.diff(cdf @ member.shares)[0])


def _t_squared(fit: WeightFit, truth: Array) -> Claim:
    """Return the claim that the miss has its chi-squared law on what the fit determines."""
    rank = fit.record.effective_rank
    values, axes = np.linalg.eigh(fit.covariance)
    values, axes = values[-rank:], axes[:, -rank:]
    if not rank or not (values > 0.0).all():
        return Refused("a covariance of less than its rank")
    pulls = (fit.weights - truth) @ axes / np.sqrt(values)
    return P(float(stats.chi2.sf(pulls @ pulls, rank)))


@bench(
    "MINOS",
    (Fit(2, 100), Fit(2, 400), Fit(6, 400), Fit(6, 2000), Fit(6, 400, "corner")),
    covers=("minos_interval", "minos_observable", "MinosInterval"),
    repetitions=300,
)
def minos(setting: Fit, seeds: Seeds) -> Mapping[str, Claim]:
    """Profile intervals of the first weight and of a mean."""
    basis, truth = setting.basis(), setting.weights()
    logf = log_densities(basis, setting.truth(setting.events, seeds.numpy()))
    means = np.array([_mean(b) for b in basis])
    ends: dict[str, dict[float, tuple[float, float]]] = {"weight": {}, "observable": {}}
    for miss in (0.05, 0.32):
        one = vs.mixture.minos_interval(logf, 0, level=1.0 - miss)
        other = vs.mixture.minos_observable(logf, means, level=1.0 - miss)
        if not (one.valid and other.valid):
            return {
                name: Refused("MINOS found no end") for name in ("MINOS: weight", "MINOS: mean")
            }
        ends["weight"][miss], ends["observable"][miss] = (
            (one.low, one.high),
            (other.low, other.high),
        )
    return {
        "MINOS: weight": Interval(float(truth[0]), ends["weight"]),
        "MINOS: mean": Interval(float(truth @ means), ends["observable"]),
    }


@dataclass(frozen=True)
class Test:
    """A goodness-of-fit test: its fit, alternative, hypothesis and null."""

    __test__ = False

    fit: Fit
    hypothesis: str = "ensemble+uncertainty"
    alternative: str = "kernels"
    null: str = "predictive"

    @property
    def label(self) -> str:
        """The fit, then what differs from the default."""
        words = (self.hypothesis, self.alternative, self.null)
        defaults = ("ensemble+uncertainty", "kernels", "predictive")
        named = [w for w, d in zip(words, defaults, strict=True) if w != d]
        return ", ".join([self.fit.label, *named])

    @property
    def ordinary(self) -> bool:
        """As of the fit."""
        return self.fit.ordinary

    def forms(self) -> Sequence[Alternative]:
        """Return the alternatives."""
        kernels: list[Alternative] = [KERNELS] if self.alternative != "tilt" else []
        return kernels if self.alternative == "kernels" else [*kernels, TILT]


_FIT = Fit(5, 500)
_JOINT = ("ensemble", "ensemble+uncertainty")
TESTS = (
    *(Test(_FIT, h, a) for h in _JOINT for a in ("kernels", "tilt")),
    Test(_FIT, "single"),
    Test(_FIT, alternative="both"),
    *(Test(_FIT, null="fluctuated-centre", alternative=a) for a in ("kernels", "tilt")),
    *(
        Test(replace(_FIT, ratio=r), h)
        for r in (0.25, 4.0, 16.0)
        for h in ("ensemble", "ensemble+uncertainty")
    ),
    *(Test(Fit(6, n, "corner", r)) for n, r in ((25, 8.0), (50, 1.0), (100, 1.0), (400, 0.5))),
    Test(Fit(20, 500)),
    Test(Fit(60, 2000, ratio=0.25)),
    Test(Fit(6, 400, "copies")),
    Test(Fit(1, 400), "single", "tilt"),
)
_NULLS: Mapping[str, Calibration] = {
    "predictive": vs.Predictive(),
    "fluctuated-centre": vs.FluctuatedCentre(),
    "plug-in": vs.PlugIn(),
}


def _tested(setting: Test, seeds: Seeds) -> float:
    mixture = _fitted(setting.fit, seeds.at("fit"))
    n = round(setting.fit.ratio * setting.fit.events)
    rng = seeds.at("data").numpy()
    single = setting.hypothesis == "single"
    x = setting.fit.basis()[0].sample(n, rng) if single else setting.fit.truth(n, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vs.VerisimileWarning)
        found = vs.goodness_of_fit(
            vs.Run(seeds),
            mixture,
            vs.Events(x),
            alternative=setting.forms(),
            hypothesis=setting.hypothesis,
            null=_NULLS[setting.null],
            toys=TOYS,
        )
    return found.p_value.value


@bench(
    "Goodness of fit",
    TESTS,
    covers=("goodness_of_fit", "Goodness"),
    repetitions=150,
)
def goodness(setting: Test, seeds: Seeds) -> Mapping[str, Claim]:
    """Every calibration that claims its size, under every hypothesis and alternative."""
    return {"goodness of fit": P(_tested(setting, seeds))}


@bench(
    "Goodness of fit with plug-in toys",
    tuple(
        Test(replace(_FIT, ratio=4.0), h, null="plug-in")
        for h in ("ensemble", "ensemble+uncertainty")
    ),
    repetitions=60,
    defect="toys know the weights that data have to estimate",
)
def plug_in(setting: Test, seeds: Seeds) -> Mapping[str, Claim]:
    """The published calibration."""
    return {"goodness of fit, plug-in toys": P(_tested(setting, seeds))}
