"""The two-sample tests of the battery by name, each in the coordinates that suit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verisimile.checks.twosample.energy import EnergyDistance
from verisimile.checks.twosample.frechet import Frechet
from verisimile.checks.twosample.interval_scan import IntervalScan
from verisimile.checks.twosample.kernel_distance import KernelDistance
from verisimile.checks.twosample.marginal import CramerVonMises, MarginalKS
from verisimile.checks.twosample.mmd import AggregatedMMD
from verisimile.checks.twosample.nplm import AggregatedNPLM
from verisimile.checks.twosample.sliced import SlicedKS, SlicedWasserstein
from verisimile.checks.twosample.statistic import Statistic
from verisimile.samples.coordinates import Coordinates, NormalScores, Standardised

__all__ = ["CLASSIFIER", "DEFAULT", "NAMES", "Entry", "entry"]

CLASSIFIER = "classifier"

_PAIRS = 10_000  # pooled events of tests whose time goes with their square
_SLICED = 40_000  # and of those along many directions


@dataclass(frozen=True, slots=True)
class Entry:
    """A test of the battery.

    Attributes
    ----------
    statistic
        What is compared.
    coordinates
        Where distances are taken: normal scores for statistics of moments, which
        the heavy tail of one feature would dominate otherwise.
    sees
        What it is best at, in a few words.
    """

    statistic: Statistic
    coordinates: Coordinates
    sees: str


_ENTRIES: Mapping[str, Entry] = {
    "energy": Entry(EnergyDistance(most=_PAIRS), Standardised(), "shifts, broad differences"),
    "mmd": Entry(AggregatedMMD(most=_PAIRS), Standardised(), "differences of unknown width"),
    "sliced-wasserstein": Entry(
        SlicedWasserstein(most=_SLICED), Standardised(), "shifts and tails"
    ),
    "sliced-ks": Entry(SlicedKS(most=_SLICED), Standardised(), "shapes and correlations"),
    "mean-ks": Entry(MarginalKS("mean"), Standardised(), "small differences of all features"),
    "max-ks": Entry(MarginalKS("max"), Standardised(), "a difference of one feature"),
    "cramer-von-mises": Entry(CramerVonMises(), Standardised(), "shifts of marginals"),
    "interval-scan": Entry(IntervalScan(), Standardised(), "a local excess in one feature"),
    "frechet": Entry(Frechet(), NormalScores(), "means and covariances"),
    "kernel-distance": Entry(KernelDistance(degree=4), NormalScores(), "moments up to the fourth"),
    "nplm": Entry(AggregatedNPLM(most=_PAIRS), Standardised(), "local density ratios"),
}
NAMES = (*_ENTRIES, CLASSIFIER)
DEFAULT = NAMES


def entry(name: str) -> Entry:
    """Return the test of this name, one of `NAMES` but the classifier."""
    return _ENTRIES[name]
