"""What a test knows of its mixture's errors: what they were learnt from, what they lack."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from biased_ensemble import corrected, fitted, members, truth
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.likelihood_ratio import compare_hypotheses
from verisimile.checks.goodness.result import Goodness
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.provenance import TRAINING, Seen
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.model import Mixture

TRAINED, LEARNT = 1000, 400
KERNELS = GaussianKernels(count=4, width=0.5, reference=100)


class Mixtures(NamedTuple):
    """One ensemble with its discrepancy and without."""

    corrected: CorrectedMixture
    plain: Mixture


@pytest.fixture(scope="module")
def mixtures() -> Mixtures:
    rng = np.random.default_rng(2)
    names = ("a", "b")
    events = Events(truth(LEARNT, rng), names=names)
    bare = fitted(members(2, TRAINED, rng), events)
    seen = (Seen.of(TRAINING, Events(truth(TRAINED, rng), names=names)), *bare.provenance)
    plain = Mixture(bare.members, bare.fit, features=bare.features, provenance=seen)
    found = corrected(plain, events, 1, Discrepancy(reference=20_000, draws=60))
    return Mixtures(found, plain)


def compared(mixture: Mixture, n: int, *hypotheses: str) -> tuple[Goodness, ...]:
    events = Events(truth(n, np.random.default_rng(9)), names=("a", "b"))
    return compare_hypotheses(
        Run(Seeds(4)), mixture, events, alternative=KERNELS, hypotheses=hypotheses, toys=2
    )


def test_a_corrected_mixture_tells_what_its_errors_were_learnt_from(mixtures: Mixtures) -> None:
    single, joint = compared(mixtures.corrected, 101, "single", "ensemble+uncertainty")
    assert joint.n_training == TRAINED
    assert joint.learnt_from == LEARNT
    assert joint.supports == mixtures.corrected.discrepancy.supports
    assert not joint.learns_too_little
    assert joint.warnings == ()
    # One member alone claims no error.
    assert (single.n_training, single.learnt_from, single.supports) == (None, None, None)
    assert single.warnings == ()
    read = from_dict(to_dict(joint))
    assert isinstance(read, Goodness)
    assert (read.learnt_from, read.supports) == (joint.learnt_from, joint.supports)


@pytest.mark.parametrize(("n", "too_little"), [(LEARNT, False), (LEARNT + 1, True)])
def test_more_events_than_were_learnt_from_are_noticed(
    mixtures: Mixtures, n: int, too_little: bool
) -> None:
    (joint,) = compared(mixtures.corrected, n, "ensemble")
    assert joint.learns_too_little is too_little


@pytest.mark.parametrize(("n", "noted"), [(TRAINED // 10, 0), (TRAINED // 10 + 1, 1)])
def test_a_plain_mixture_says_what_its_errors_lack(mixtures: Mixtures, n: int, noted: int) -> None:
    single, joint = compared(mixtures.plain, n, "single", "ensemble+uncertainty")
    assert sum("all members miss alike" in note for note in joint.warnings) == noted
    assert joint.ignores_common_errors is bool(noted)
    assert (joint.learnt_from, joint.supports, joint.learns_too_little) == (None, None, False)
    assert single.warnings == ()
