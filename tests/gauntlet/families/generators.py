"""What is said of generators: amplification, memorisation, precision and recall."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

import verisimile as vs
from differential_study import camel, events, independent, realised
from gauntlet.claims import Claim, Interval, P, Refused
from gauntlet.registry import bench
from verisimile.checks.amplification.result import Interval as Stated
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.stats.intervals import ONE_SIGMA

LEVELS = (ONE_SIGMA, 0.95)


def _stated(truth: float, found: tuple[Stated, ...]) -> Interval:
    """Return the claim of intervals, by their miss probability."""
    return Interval(truth, {round(1.0 - each.level, 2): (each.low, each.high) for each in found})


@dataclass(frozen=True)
class Worth:
    """A generator with the region probabilities of gain times n_train true events.

    A gain of infinity is a perfect generator.
    """

    gain: float = 1.0
    regions: int = 10
    n_train: int = 400
    n_generated: int = 4000
    n_holdout: int = 1000

    @property
    def label(self) -> str:
        """All numbers."""
        sizes = f"{self.n_train} / {self.n_generated} / {self.n_holdout}"
        return f"G = {self.gain:g}, {self.regions} regions, {sizes} events"

    @property
    def ordinary(self) -> bool:
        """More than a hundred events of each sample."""
        return min(self.n_train, self.n_generated, self.n_holdout) >= 100

    @property
    def edges(self) -> Array:
        """Inner edges of equal regions of the unit interval."""
        return np.arange(1, self.regions) / self.regions

    def shares(self, rng: np.random.Generator) -> Array:
        """Return one training's region probabilities."""
        exact = np.full(self.regions, 1.0 / self.regions)
        if math.isinf(self.gain):
            return exact
        n = round(self.gain * self.n_train)
        return np.asarray(rng.multinomial(n, exact) / n)

    def inverse_gain(self, shares: Array) -> float:
        """Return the exact 1/G of one training."""
        exact = 1.0 / self.regions
        return float(self.n_train * ((shares - exact) ** 2).sum() / (1.0 - exact))

    def sample(self, shares: Array, n: int, rng: np.random.Generator) -> vs.Events:
        """Return n events with these region probabilities."""
        region = rng.choice(self.regions, n, p=shares)
        return vs.Events(((region + rng.random(n)) / self.regions)[:, None], names=("x",))


WORTHS = (
    Worth(),
    Worth(3.0),
    Worth(0.5),
    Worth(math.inf),
    Worth(regions=2),
    Worth(regions=50),
    Worth(n_holdout=100),
    Worth(n_generated=200),
    Worth(n_train=100, n_generated=20_000, n_holdout=200),
)


@bench(
    "Amplification in regions",
    WORTHS,
    covers=(
        "quantile",
        "quantile_of_trainings",
        "averaging",
        "Amplification",
        "Averaging",
        "AmplificationCurve",
    ),
    repetitions=300,
)
def regions(setting: Worth, seeds: Seeds) -> Mapping[str, Claim]:
    """1/G of one generator, of the way to train it, and from the scatter of eight trainings."""
    rng = seeds.numpy()
    run, cells = vs.Run(seeds.at("measure")), vs.amplification.product_regions([setting.edges])
    trained = [setting.shares(rng) for _ in range(8)]
    made = [setting.sample(each, setting.n_generated, rng) for each in trained]
    perfect = np.full(setting.regions, 1.0 / setting.regions)
    holdout = setting.sample(perfect, setting.n_holdout, rng)
    expected = 1.0 / setting.gain
    own = vs.amplification.quantile(
        run, made[0], holdout, n_train=setting.n_train, regions=cells, levels=LEVELS
    )
    procedure = vs.amplification.quantile_of_trainings(
        run, made[:4], holdout, n_train=setting.n_train, regions=cells, levels=LEVELS
    )
    claims: dict[str, Claim] = {
        "quantile": _stated(setting.inverse_gain(trained[0]), own.points[0].intervals),
        "quantile, trainings": _stated(expected, procedure.points[0].intervals),
    }
    if not math.isinf(setting.gain):  # identical members have no scatter
        averaged = vs.amplification.averaging(
            run, made, n_train=setting.n_train, regions=cells, levels=LEVELS
        )
        claims["averaging"] = _stated(expected, averaged.amplification.intervals)
    return claims


@dataclass(frozen=True)
class Distance:
    """A generator that draws from gain times n_train true events of two humps."""

    gain: float = 1.0
    n_train: int = 200
    n_generated: int = 1000
    n_holdout: int = 500

    @property
    def label(self) -> str:
        """All numbers."""
        return f"G = {self.gain:g}, {self.n_train} / {self.n_generated} / {self.n_holdout} events"

    @property
    def ordinary(self) -> bool:
        """Always."""
        return True


@bench(
    "Amplification by distances",
    (Distance(), Distance(3.0), Distance(0.5), Distance(n_holdout=100), Distance(n_generated=200)),
    covers=(
        "quadratic",
        "quadratic_procedure",
        "kolmogorov",
        "kolmogorov_features",
    ),
    repetitions=200,
)
def distances(setting: Distance, seeds: Seeds) -> Mapping[str, Claim]:
    """Energy distance of one generator and of four trainings, and the KS limit."""
    rng = seeds.numpy()
    run, train = vs.Run(seeds.at("measure")), independent(setting.gain)
    generators = [train(setting.n_train, rng) for _ in range(4)]
    made = [each.draw(setting.n_generated, rng) for each in generators]
    holdout = camel(setting.n_holdout, rng)
    one = vs.amplification.quadratic(run, events(made[0]), events(holdout), setting.n_train)
    several = vs.amplification.quadratic_procedure(
        run, [events(each) for each in made], events(holdout), setting.n_train
    )
    limit = vs.amplification.kolmogorov(made[0], holdout, setting.n_train)
    expected = 1.0 / setting.gain
    return {
        "quadratic": _stated(setting.n_train * realised(generators[0]), one.intervals),
        "quadratic, trainings": _stated(expected, several.intervals),
        "Kolmogorov": _stated(expected, limit.intervals),
    }


@dataclass(frozen=True)
class Curve:
    """Points of a learning curve a/n + b with known errors."""

    points: int
    floor: float

    @property
    def label(self) -> str:
        """Both numbers."""
        return f"{self.points} points, floor {self.floor:g}"

    @property
    def ordinary(self) -> bool:
        """Always."""
        return True


@bench(
    "Learning curves",
    (Curve(3, 0.0), Curve(3, 0.001), Curve(8, 0.0), Curve(8, 0.01)),
    covers=("learning_curve", "LearningCurve"),
    repetitions=2000,
)
def growth(setting: Curve, seeds: Seeds) -> Mapping[str, Claim]:
    """Amplitude, floor, crossing and goodness."""
    n = np.geomspace(100.0, 10_000.0, setting.points)
    truth = 0.5 / n + setting.floor
    errors = 0.1 * truth
    found = vs.amplification.learning_curve(
        n, truth + errors * seeds.numpy().normal(size=n.size), errors
    )
    claims: dict[str, Claim] = {
        "amplitude": _stated(0.5, found.amplitude_intervals),
        "floor": _stated(setting.floor, found.floor_intervals),
        "two terms": P(found.p_value),
    }
    if setting.floor:
        ends = [found.crossing_interval(level) for level in LEVELS]
        claims["crossing"] = _stated(0.5 / setting.floor, tuple(ends))
    return claims


@bench(
    "Tenfold extrapolation",
    (Curve(3, 0.0), Curve(3, 0.0001), Curve(8, 0.0), Curve(8, 0.01)),
    covers=("forecast", "Forecast"),
    repetitions=1000,
)
def extrapolation(setting: Curve, seeds: Seeds) -> Mapping[str, Claim]:
    """1/n_equiv, and the gain in equivalent events, at ten times the events of the curve."""
    n = np.geomspace(100.0, 10_000.0, setting.points)
    truth, there = 0.5 / n + setting.floor, 0.5 / 1e5 + setting.floor
    errors = 0.1 * truth
    found = vs.amplification.forecast(
        vs.amplification.learning_curve(
            n, truth + errors * seeds.numpy().normal(size=n.size), errors
        )
    )
    return {
        "1/n_equiv": _stated(there, found.intervals),
        "share of the floor": _stated(setting.floor / truth[-1], found.floor_shares),
    }


@dataclass(frozen=True)
class Memory:
    """Generated, held-out and training events of one law."""

    n: tuple[int, int, int]
    d: int = 2
    lattice: bool = False

    @property
    def label(self) -> str:
        """Sizes and law."""
        return f"{' / '.join(map(str, self.n))}, d = {self.d}{', lattice' if self.lattice else ''}"

    @property
    def ordinary(self) -> bool:
        """A hundred events or more of few features."""
        return min(self.n) >= 100 and self.d <= 6

    def draw(self, rng: np.random.Generator) -> list[Array]:
        """Return the three samples."""
        samples = [rng.normal(size=(n, self.d)) for n in self.n]
        return [np.rint(3.0 * x) / 3.0 for x in samples] if self.lattice else samples


MEMORIES = (
    Memory((400, 400, 400)),
    Memory((400, 40, 400)),
    Memory((1000, 200, 4000)),
    Memory((400, 400, 400), 6),
    Memory((400, 400, 400), 20),
    Memory((400, 400, 400), lattice=True),
    Memory((60, 60, 60)),
)


def _memory(run: vs.Run, generated: Array, holdout: Array, train: Array) -> dict[str, Claim]:
    found = vs.amplification.memorisation(
        run, vs.Events(generated), vs.Events(holdout), vs.Events(train), permutations=99
    )
    return {
        "memorisation: share": P(found.share_p.value),
        "memorisation: log ratio": P(found.log_ratio_p.value),
        "memorisation: copies": P(found.copies_p.value),
        "memorisation: alarm": P(0.0 if found.alarm else 1.0),
    }


@bench("Memorisation", MEMORIES, covers=("memorisation", "Memorisation"), repetitions=400)
def memory(setting: Memory, seeds: Seeds) -> Mapping[str, Claim]:
    """A generator that knows the law and no event."""
    return _memory(vs.Run(seeds), *setting.draw(seeds.at("samples").numpy()))


@bench(
    "Memorisation, holdout of another law",
    MEMORIES[:2],
    repetitions=60,
    defect="half of the generated events are in the training sample, the holdout is of another law",
)
def foreign_holdout(setting: Memory, seeds: Seeds) -> Mapping[str, Claim]:
    """Training events, half of which are generated events, against a shifted holdout."""
    generated, holdout, train = setting.draw(seeds.at("samples").numpy())
    train[: len(generated) // 2] = generated[: len(generated) // 2]
    claims = _memory(vs.Run(seeds), generated, holdout + 0.5, train)
    return {f"{name}, foreign holdout": claim for name, claim in claims.items()}


@dataclass(frozen=True)
class Shift:
    """Reference N(0, 1) against generated N(shift, 1), or a family of such."""

    n: int
    shift: float

    @property
    def label(self) -> str:
        """Both numbers."""
        return f"{self.n} against {self.n}, shift {self.shift:g}"

    @property
    def ordinary(self) -> bool:
        """A hundred events or more."""
        return self.n >= 100


def true_area(shift: float) -> float:
    r"""Return the true area :math:`\tfrac12 \int r^2 d\theta` of N(0, 1) and N(shift, 1)."""
    if shift == 0.0:
        return 1.0
    theta = (np.arange(20_000) + 0.5) * 0.5 * np.pi / 20_000
    slope = np.tan(theta)
    at = (np.log(slope) + 0.5 * shift**2) / shift
    precision = stats.norm.cdf(at - shift) + slope * stats.norm.sf(at)
    square = precision**2 * (1.0 + 1.0 / slope**2)
    return float(0.5 * square.sum() * 0.5 * np.pi / 20_000)


@bench(
    "Areas below precision-recall curves",
    (Shift(300, 0.0), Shift(300, 0.5), Shift(1000, 1.0), Shift(1000, 2.0)),
    covers=("precision_recall", "PrecisionRecall"),
    repetitions=200,
)
def areas(setting: Shift, seeds: Seeds) -> Mapping[str, Claim]:
    """The stated 95 % interval on the area, bias of the estimator included."""
    rng = seeds.at("samples").numpy()
    reference, generated = (rng.normal(m, 1.0, (setting.n, 1)) for m in (0.0, setting.shift))
    found = vs.precision_recall(
        vs.Run(seeds), vs.Events(reference), generated, null_draws=0, angles=51
    )
    stated = getattr(found, "interval", None)
    if stated is None:
        return {"area": Refused("no interval is stated")}
    low, high = stated
    return {"area": Interval(true_area(setting.shift), {0.05: (float(low), float(high))})}


@bench(
    "Two families of generators",
    (Shift(60, 1.0), Shift(150, 1.0)),
    covers=(
        "compare_bands",
        "compare_curves",
        "precision_recall_band",
        "precision_recall_bands",
        "BandComparison",
        "AreaDifference",
    ),
    repetitions=100,
)
def bands(setting: Shift, seeds: Seeds) -> Mapping[str, Claim]:
    """Bands over six generators each, whose means scatter alike."""
    rng = seeds.at("samples").numpy()
    reference = vs.Events(rng.normal(size=(setting.n, 1)))
    groups = []
    for _ in range(2):
        means = setting.shift + 0.2 * rng.normal(size=6)
        groups.append([vs.Events(rng.normal(m, 1.0, (setting.n, 1))) for m in means])
    first, second = groups
    found = vs.compare_bands(vs.Run(seeds), first, second, reference, permutations=199)
    return {
        "bands: anywhere": P(found.p_value.value),
        "bands: area": P(found.auc.p_value.value),
        "bands: area difference": Interval(0.0, {0.05: (found.auc.low, found.auc.high)}),
    }
