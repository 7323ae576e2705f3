"""Draws that a run keeps: made once, the first of them for whoever wants fewer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.mixture import kept
from verisimile.mixture.kept import kept_draws
from verisimile.mixture.sampling import SampleAudit, SignedSample

AUDIT = SampleAudit(1, 1, 1.0, Estimate(0.0, 0.0))


@dataclass
class Normal:
    """A standard normal law that counts what it is asked for."""

    fingerprint: str = "0123456789abcdef0"
    asked: list[int] = field(default_factory=list)

    def drawn(self, n: int, rng: np.random.Generator) -> SignedSample:
        self.asked.append(n)
        x = rng.standard_normal((n, 2))
        return SignedSample(x, stats.norm.logpdf(x).sum(axis=1)[:, None], AUDIT)


def test_fewer_are_the_first_of_more_and_nothing_is_drawn_twice() -> None:
    run, law = Run(Seeds(1)), Normal()
    x, logf = kept_draws(run, law, 10_000)
    drawn = sum(law.asked)
    fewer, at_fewer = kept_draws(run, law, 5000)
    assert np.array_equal(fewer, x[:5000])
    assert np.array_equal(at_fewer, logf[:5000])
    assert sum(law.asked) == drawn
    assert logf == pytest.approx(stats.norm.logpdf(x).sum(axis=1)[:, None])
    assert stats.kstest(x[:, 0], "norm").pvalue > 1e-3
    assert len(np.unique(x[:, 0])) == 10_000  # no block repeats another


def test_more_go_on_where_fewer_ended() -> None:
    run, law = Run(Seeds(1)), Normal()
    fewer, _ = kept_draws(run, law, 3)
    drawn = sum(law.asked)
    more, _ = kept_draws(run, law, 10_000)
    assert np.array_equal(more[:3], fewer)
    assert np.array_equal(more, kept_draws(Run(Seeds(1)), Normal(), 10_000)[0])
    assert sum(law.asked) < drawn + 10_000


def test_another_law_and_another_seed_have_their_own(tmp_path: Path) -> None:
    run = Run(Seeds(1), store=tmp_path)
    own, _ = kept_draws(run, Normal(), 100)
    other = Normal(fingerprint="fedcba98765432100")
    kept_draws(run, other, 100)
    assert other.asked
    assert not np.array_equal(own, kept_draws(Run(Seeds(2)), Normal(), 100)[0])


def test_what_is_too_large_to_keep_is_the_same_events(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = kept_draws(Run(Seeds(1)), Normal(), 10_000)
    monkeypatch.setattr(kept, "_BYTES", 1000)
    run, law = Run(Seeds(1)), Normal()
    assert np.array_equal(kept_draws(run, law, 10_000)[0], x)
    assert len(run.store.addresses("draws")) == 1  # that told how large they are


def test_one_event_is_no_sample() -> None:
    with pytest.raises(InputError, match="at least two events"):
        kept_draws(Run(Seeds(1)), Normal(), 1)
