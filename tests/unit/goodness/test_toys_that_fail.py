"""A toy that fails is one extreme toy; a machine that fails is none."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

import numpy as np
import pytest

from analytic import Blend
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.goodness.search import Search
from verisimile.core.arrays import Array
from verisimile.core.errors import IncompleteError, NumericsError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import single_weight
from verisimile.mixture.model import Mixture

BLEND = Blend(np.zeros((1, 2)), np.ones((1, 2)), np.ones(1))
SEARCH = Search((GaussianKernels(count=4, width=0.7, reference=100),), placements=1)
N, TOYS = 60, 40
EVENTS = Events(BLEND.sample(N, np.random.default_rng(71)))


@dataclass
class Faulty:
    """A normal density that errs in chosen ones of its samples as large as a toy."""

    errors: dict[int, Exception | None]
    seen: list[int] = field(default_factory=list)
    n_features: int = 2

    def log_prob(self, x: Array) -> Array:
        return BLEND.log_prob(x)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        if n == TOY:
            self.seen.append(n)
            error = self.errors.get(len(self.seen))
            if error is not None:
                raise error
        return BLEND.sample(n, rng)


TOY = int(np.ceil(1.05 * N)) + 16  # proposals of one toy; what is placed draws other numbers
FIRST = 1  # the sample that the first toy draws


def _tested(member: Faulty, toys: int = TOYS) -> Goodness:
    mixture = Mixture([member], single_weight())
    return goodness_of_fit(Run(Seeds(5)), mixture, EVENTS, alternative=SEARCH, toys=toys)


def _full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_that_passes_changes_no_number() -> None:
    right, again = _tested(Faulty({})), _tested(Faulty({FIRST + 13: _full()}))
    assert again.toys.tolist() == right.toys.tolist()
    assert again.p_value == right.p_value
    assert again.n_failed == 0


def test_a_full_disk_that_stays_ends_incomplete_and_is_resumed() -> None:
    # The second chunk fails, and its second try: 10 toys, the bad one, 20 toys, the bad one.
    stays: dict[int, Exception | None] = {FIRST + 10: _full(), FIRST + 31: _full()}
    mixture = Mixture([member := Faulty(stays)], single_weight())
    run = Run(Seeds(5))
    with pytest.raises(IncompleteError, match="1 of 4 chunks.*ENOSPC|No space left"):
        goodness_of_fit(run, mixture, EVENTS, alternative=SEARCH, toys=TOYS)
    member.errors.clear()
    found = goodness_of_fit(run, mixture, EVENTS, alternative=SEARCH, toys=TOYS)
    assert found.toys.tolist() == _tested(Faulty({})).toys.tolist()


def test_a_defect_of_the_model_is_no_extreme_toy() -> None:
    with pytest.raises(IncompleteError, match="ZeroDivisionError"):
        _tested(Faulty({FIRST + 3: ZeroDivisionError("division by zero")}))


def test_a_toy_that_fails_by_itself_is_one_toy_and_is_warned_of() -> None:
    bad = NumericsError("sample", got="nothing", expected="events")
    with pytest.warns(VerisimileWarning, match="1 of 40 toys have no finite statistic"):
        found = _tested(Faulty({FIRST + 3: bad}))
    assert found.n_failed == 1
    assert any("1 of 40 toys" in note for note in found.warnings)


def test_the_limit_on_failures_counts_toys_and_not_chunks() -> None:
    def failing(every: int) -> Faulty:
        errors: dict[int, Exception | None] = {
            FIRST + toy: NumericsError("sample", got="nothing", expected="events")
            for toy in range(0, TOYS, every)
        }
        return Faulty(errors)

    with pytest.warns(VerisimileWarning, match="4 of 40"):  # one in every chunk
        assert _tested(failing(10)).n_failed == 4
    with pytest.raises(NumericsError, match="8 of 40 toys failed"):
        _tested(failing(5))
