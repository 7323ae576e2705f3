"""How often samples are called copies, too alike or memorised: innocent ones, and guilty ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from statistical import assert_rate
from verisimile.checks.amplification.memorisation import LEVEL, memorisation
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.statistics.distribution_functions import MarginalKS
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.protocol import Statistic
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.copies import copies_of, rows_of, twins
from verisimile.validation.battery import alike_of

pytestmark = [pytest.mark.calibration, pytest.mark.timeout(1800)]

Law = Callable[[np.random.Generator, int], Array]
REPETITIONS = 300
CALLED = 3e-3  # two kinds at 1e-3, the others at a tenth of it
LAWS: dict[str, Law] = {
    "normal, 1": lambda rng, n: rng.normal(size=(n, 1)),
    "normal, 6": lambda rng, n: rng.normal(size=(n, 6)),
    "Cauchy": lambda rng, n: rng.standard_cauchy(size=(n, 2)),
    "narrow lattice": lambda rng, n: (3.0 * rng.normal(size=(n, 2))).round(),
    "wide lattice": lambda rng, n: (100.0 * rng.normal(size=(n, 2))).round(),
    "spike": lambda rng, n: np.where(rng.random((n, 3)) < 0.5, 0.0, rng.normal(size=(n, 3))),
    "line": lambda rng, n: rng.normal(size=(n, 1)) * [1.0, 2.0] + 1e-3 * rng.normal(size=(n, 2)),
}


def _at_most(count: int, trials: int, rate: float) -> None:
    """Require that a rate of at most `rate` explains the count (one in a million)."""
    assert stats.binom.sf(count - 1, trials, rate) > 1e-6


@pytest.mark.parametrize(("n", "m"), [(300, 300), (1000, 60), (60, 1000)])
@pytest.mark.parametrize("name", sorted(LAWS))
def test_independent_samples_share_nothing(
    name: str, n: int, m: int, seeds: Seeds, show: Callable[[str], None]
) -> None:
    called, repeated, alike, twin = 0, 0, 0, 0
    for i in range(REPETITIONS):
        rng = seeds.at(i).numpy()
        x, y = LAWS[name](rng, n), LAWS[name](rng, m)
        first, second = Events(x), Events(y)
        called += bool(copies_of(first, second))
        repeated += any(each.repeated for each in rows_of({"a": first, "b": second}))
        alike += twins(x, y, rng).p <= 0.05
        twin += first.overlap(second) > 0
    show(f"{name}, {n} and {m}: copies {called}, repeats {repeated}, alike {alike}")
    _at_most(called, REPETITIONS, CALLED)
    _at_most(repeated, REPETITIONS, 2e-3)
    _at_most(alike, REPETITIONS, 0.05)
    if "lattice" in name or (name == "spike" and min(n, m) > 60):
        # The twin counts equal rows, as if none could coincide.
        with pytest.raises(AssertionError):
            _at_most(twin, REPETITIONS, CALLED)


@pytest.mark.parametrize(("n", "m"), [(100, 100), (200, 60)])
def test_the_lower_tail_has_its_size(
    n: int, m: int, seeds: Seeds, show: Callable[[str], None]
) -> None:
    inside, twin = 0, 0
    statistics: list[Statistic] = [MarginalKS("max"), EnergyDistance()]
    for i in range(REPETITIONS):
        rng, run = seeds.at(i).numpy(), Run(seeds.at(i))
        x, y = rng.normal(size=(n, 2)), rng.normal(size=(m, 2))
        # The twin's samples share a third of the smaller one.
        leaked = np.concatenate([y[m // 3 :], x[: m // 3]])
        for generated in (y, leaked):
            first, second = Events(x), Events(generated)
            found = permutation_test(run, first, second, statistics, permutations=199)
            named = {each.statistic: each for each in found}
            rejected = alike_of(run, first, second, named).p <= 0.05 + 1e-12
            if generated is y:
                inside += rejected
            else:
                twin += rejected
    show(f"{n} and {m}: too alike {inside}, with a third shared {twin}")
    _at_most(inside, REPETITIONS, 0.05)
    with pytest.raises(AssertionError):
        _at_most(twin, REPETITIONS, 0.05)


GENERATORS: dict[str, Callable[[Array], Array]] = {
    "truth": lambda x: x,
    "smeared": lambda x: 1.1 * x,
    "shifted": lambda x: x + 0.3,
}


@pytest.mark.parametrize(("n", "held"), [(400, 40), (150, 150), (60, 300)])
@pytest.mark.parametrize(
    ("kind", "d"), [("truth", 1), ("truth", 2), ("truth", 6), ("smeared", 2), ("shifted", 6)]
)
def test_innocent_generators_raise_no_alarm(
    kind: str, d: int, n: int, held: int, seeds: Seeds, show: Callable[[str], None]
) -> None:
    alarms, plain = 0, np.zeros(2, dtype=int)
    for i in range(REPETITIONS):
        rng = seeds.at(i).numpy()
        generated, train, holdout = (
            Events(x)
            for x in (
                GENERATORS[kind](rng.normal(size=(n, d))),
                rng.normal(size=(n, d)),
                rng.normal(size=(held, d)),
            )
        )
        found = memorisation(Run(seeds.at(i)), generated, holdout, train, permutations=199)
        alarms += found.alarm
        plain += np.array([found.share_p.value, found.log_ratio_p.value]) <= 0.05 + 1e-12
    show(f"{kind}, {d} features, {n} and {held}: alarms {alarms}, at 5 % {plain}")
    _at_most(alarms, REPETITIONS, LEVEL)
    for count in plain:
        # Exact, but a share of few events has few values and a smaller size.
        _at_most(int(count), REPETITIONS, 0.05)
    assert_rate(int(plain[1]), REPETITIONS, 0.05)


@pytest.mark.parametrize(
    ("n", "held", "share"), [(4000, 200, 1.0), (400, 40, 1.0), (1000, 1000, 0.1)]
)
def test_memorisers_raise_the_alarm(
    n: int, held: int, share: float, seeds: Seeds, show: Callable[[str], None]
) -> None:
    alarms, cut = 0, 0
    for i in range(20):
        rng = seeds.at(i).numpy()
        train = rng.normal(size=(n, 2))
        own = rng.random((n, 1)) >= share
        copies = train + 1e-3 * rng.normal(size=train.shape)
        generated = Events(np.where(own, rng.normal(size=train.shape), copies))
        holdout = Events(rng.normal(size=(held, 2)))
        run = Run(seeds.at(i))
        alarms += memorisation(run, generated, holdout, Events(train), permutations=199).alarm
        # The twin cuts train to the size of the holdout and needs a share above 0.55.
        few = memorisation(run, generated, holdout, Events(train[:held]), permutations=199)
        cut += few.share.value > 0.55 and few.share_p.value <= LEVEL
    show(f"{n} and {held}, {share:.0%} copies: alarms {alarms} of 20, cut to one size {cut}")
    assert alarms == 20
    with pytest.raises(AssertionError):
        assert cut >= 19
