"""Reweighting: a density ratio learnt on one part of two samples, and tested on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

import numpy as np

from verisimile.checks.twosample.permutation import permute_pool
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.statistics.distribution_functions import MarginalKS, SlicedKS
from verisimile.checks.twosample.statistics.energy import EnergyDistance
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.core.arrays import Array, BoolArray, IntArray
from verisimile.core.errors import IncompleteError, InputError, SupportError, require
from verisimile.core.hists import EdgesLike
from verisimile.core.random import Seeds
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike, as_events
from verisimile.mixture.discrepancy.posterior import BinShift, DiscrepancyFit
from verisimile.mixture.discrepancy.settings import Discrepancy, check_discrepancy
from verisimile.mixture.templates import TemplateBins, Templates, templates_of
from verisimile.repair.gaps import Gap, gaps, in_gaps
from verisimile.repair.levels import Levels, cross_fitted
from verisimile.repair.logistic import Side
from verisimile.repair.ratio import functions_of, learn_ratio
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import Standardised
from verisimile.samples.learners import Classifier, boosted_trees, check_learner
from verisimile.samples.pool import pool_samples
from verisimile.stats.aggregate import holm
from verisimile.stats.pvalues import PValue

Method = Literal["tilt", "classifier", "both"]
METHODS: tuple[Method, ...] = get_args(Method)

_FEWEST = 50
_LEAST_FIT = 500
_SCALE = 0.03
_VARIED = 0.02  # of a standard deviation of the retest, below which a variation cannot matter
_FAILS = 0.05
_NARROW = (
    "the reweighted sample still differs: a structure that is narrow in a feature needs "
    'method="both" (--method both), and counts as another look'
)
_TESTS = (MarginalKS("mean"), MarginalKS("max"), IntervalScan(), EnergyDistance(), SlicedKS())


@register("reweighting", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Reweighting(Result):
    """A density ratio w(x) with errors, and whether the reweighted sample holds on fresh events.

    Attributes
    ----------
    features
        What it is a function of.
    ratio
        The posterior of log w.
    factor
        By which refits have scaled its errors, so that they hold on average.
    method
        What w is made of: ``tilt``, ``classifier`` or ``both``.
    n_reference, n_generated
        Events that it was learnt from.
    n_checked
        Events of both samples that the tests had.
    n_weighted, effective_size
        Generated events, all of them, and how many equally weighted ones they are worth.
    before, after
        Tests of events that the fit did not see, without and with weights.  The latter know that w
        is uncertain.
    looks
        How many reweightings were tested on the same events, this one included.
    p_value
        Smallest of `after`, corrected for their number (Holm) and for the looks (Bonferroni).
    gaps
        Where the generator has no events.
    warnings
        What a reader must know.
    levels
        The classifiers; they are not written.
    """

    features: tuple[Feature, ...]
    ratio: DiscrepancyFit
    factor: float
    method: str
    n_reference: int
    n_generated: int
    n_checked: tuple[int, int]
    n_weighted: int
    effective_size: float
    before: tuple[TwoSample, ...]
    after: tuple[TwoSample, ...]
    looks: int
    p_value: PValue
    gaps: tuple[Gap, ...]
    warnings: tuple[str, ...] = ()
    levels: Levels | None = field(default=None, metadata={"transient": True})
    listed: ClassVar[tuple[str, ...]] = ("before", "after")

    def __repr__(self) -> str:
        """Return one line: sizes, worth, the retest."""
        return (
            f"Reweighting({self.method}, n={self.n_reference}/{self.n_generated}, "
            f"effective {self.effective_size:.0f} of {self.n_weighted}, "
            f"retest p={self.p_value.value:.3g}, "
            f"{len(self.gaps)} gaps)"
        )

    def weights(self, x: EventsLike) -> Array:
        r"""Return w(x) = reference / generated ``(n,)``, of mean one over generated events.

        Raises
        ------
        SupportError
            Where the generator has no events: `inside` says which are elsewhere.
        InputError
            If the features differ.
        """
        events = self._events(x)
        return np.exp(self.ratio.log_ratio(self._rows(events)))

    def errors(self, x: EventsLike) -> Array:
        """Return the standard deviation of w(x) ``(n,)``; raises as :meth:`weights`."""
        rows = self._rows(self._events(x))
        return np.exp(self.ratio.log_ratio(rows)) * self.ratio.relative_error(rows)

    def inside(self, x: EventsLike) -> BoolArray:
        """Return which events ``(n,)`` are where the generator has some."""
        return ~in_gaps(self.gaps, self.features, self._matched(x).x)

    def variations(self, x: EventsLike) -> Array:
        r"""Return relative changes of w(x) ``(n, k)`` by one standard deviation, independent ones.

        .. math:: \frac{\delta w}{w} = R z, \quad z \sim N(0, 1)

        Largest first; directions that cannot matter beside the events' own noise are left out.
        Raises as :meth:`weights`.
        """
        rows = self._rows(self._events(x))
        return self._varied(rows)

    def templates(
        self, x: EventsLike, axes: Mapping[str, EdgesLike], *, events: float | None = None
    ) -> Templates:
        r"""Return the histogram of reweighted events, with its errors as independent variations.

        .. math:: h_b = \sum_{i \in b} w_i, \qquad v_{kb} = \sum_{i \in b} w_i R_{ik}, \qquad
                  s_b^2 = \sum_{i \in b} w_i^2

        with R of :meth:`variations`, rotated so that few v hold all of the covariance.

        Parameters
        ----------
        x
            Generated events.
        axes
            Edges by the name of a feature; bins of several features are those of their product.
        events
            What the weights of all events sum to; None for their number.

        Raises
        ------
        SupportError
            As :meth:`weights`.
        InputError
            For an unknown feature, or edges that do not rise.
        """
        found = self._events(x)
        cells = TemplateBins.of(axes, self.features)
        rows, inside = self._rows(found), cells.inside(found.x)
        u = np.ones(found.n) if found.weights is None else found.weights
        w = u * np.exp(self.ratio.log_ratio(rows))
        w *= (found.n if events is None else events) / w.sum()
        changed = (w[:, None] * self._varied(rows)).T @ inside
        return templates_of(cells.axes, w @ inside, changed.T @ changed, np.sqrt(w**2 @ inside))

    def unweighted(self, x: EventsLike, seeds: Seeds) -> IntArray:
        r"""Return rows of generated events that are a sample of the reference: accept and reject.

        An event is kept with probability :math:`w / \max w`, so that none is repeated.
        """
        w = self.weights(x)
        return np.flatnonzero(seeds.at("unweight").numpy().random(w.size) * w.max() < w)

    def notable(self, at_least: float = 3.0) -> list[BinShift]:
        """Return where weights differ most from one, by more than so many errors, worst first."""
        return self.ratio.notable(at_least)

    def _matched(self, x: EventsLike) -> Events:
        events = as_events(x, "x") if not isinstance(x, np.ndarray) else None
        if events is None:
            events = Events(x, features=self.features)
        return match_features(events, self.features)

    def _events(self, x: EventsLike) -> Events:
        events = self._matched(x)
        outside = in_gaps(self.gaps, self.features, events.x)
        if outside.any():
            raise SupportError(
                "x",
                got=f"{int(outside.sum())} of {events.n} events where the generator has none: "
                + "; ".join(map(str, self.gaps)),
                expected="events where a ratio could be learnt",
                remedy="Leave them out, x[found.inside(x)], or generate events there.",
            )
        return events

    def _rows(self, events: Events) -> Array:
        if self.levels is None and self.method != "tilt":
            raise IncompleteError(
                "weights",
                got="a result that was read, without its classifiers",
                expected="the result of vs.reweight itself",
                remedy='Weights of events are in the folder of the command; method="tilt" is read '
                "whole.",
            )
        levels = Levels(()) if self.levels is None else self.levels
        return self.ratio.functions.at(events.x, levels.of(events))

    def _varied(self, rows: Array) -> Array:
        directions = self.ratio.directions(round(self.n_weighted / _VARIED))
        return np.asarray((rows - self.ratio.means) @ directions)


def reweight(  # noqa: PLR0913  (samples, what w is made of, and what tests it)
    run: Run,
    reference: EventsLike,
    generated: EventsLike,
    *,
    method: Method = "tilt",
    check: float = 0.3,
    looks: int = 1,
    learner: object = None,
    folds: int = 5,
    permutations: int = 499,
    settings: Discrepancy = Discrepancy(scale=_SCALE),  # noqa: B008  (frozen)
    most: int = 40_000,
    refits: int = 2,
) -> Reweighting:
    r"""Learn the density ratio reference / generated with errors, and test it on fresh events.

    .. math:: w(x) = e^{\varphi(x) \cdot b} / Z, \qquad
              \log\frac{P(\text{reference} \mid x)}{P(\text{generated} \mid x)}
              = c + \varphi(x) \cdot b

    with bumps phi in the normal scores of each feature and of pairs (``tilt``), in those of the
    logit of cross-fitted classifiers (``classifier``, which calibrates them), or ``both``.  The
    coefficients shrink by groups whose scales are integrated over, and the posterior of b gives
    sigma(x).  Both samples are split; the tests of the second parts, without and with weights, see
    no event of the fit, and the null of the latter holds the errors of w.

    Parameters
    ----------
    run
        Random streams (``"reweight"``), execution and storage of the tests.
    reference, generated
        The samples, features matched by name.  Weights must be positive.
    method
        What w is made of.
    check
        Fraction of both samples that is kept for the tests.
    looks
        How many reweightings have been tested on these events; p-values are multiplied by it.
    learner, folds
        Classifier of scikit-learn, boosted trees for None, and folds of its cross-fit.
    permutations
        Draws of the tests' null.
    settings
        Scale and draws of the groups' scales.
    most
        Events of each sample, random ones, that the fit takes.
    refits
        Fits of pseudo-samples, drawn from the fitted ratio, that calibrate the errors; 0 for those
        of the posterior, which are wider where most of the features are right.

    Raises
    ------
    InputError
        For features that do not match, fewer than 50 events in a part of a sample, negative
        weights, or settings that make no sense.

    References
    ----------
    J. A. Anderson, Biometrika 59 (1972) 19 (ratios from labels); D. Nychka, J. Am. Stat. Assoc. 83
    (1988) 1134 (coverage of smoothing bands on average); A. Rogozhnikov, J. Phys. Conf. Ser. 762
    (2016) 012036 (reweighting of simulated events).

    Examples
    --------
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> truth, generated = rng.normal(0.2, 1.0, (2000, 1)), rng.normal(size=(2000, 1))
    >>> found = vs.reweight(vs.Run(vs.Seeds(1)), truth, generated, permutations=99)
    >>> below, above = found.weights(np.array([[-1.0], [1.0]])).tolist()
    >>> 0.5 < below < 1.0 < above
    True
    """
    reference, generated = comparable(reference=reference, generated=generated)
    _check(method, check, looks, folds, most)
    require(refits >= 0, "refits", got=refits, expected="zero or more")
    check_discrepancy(settings, needed=True)
    generated = match_features(generated, reference.features)
    check_samples(reference, generated, check)
    at = run.at("reweight")
    fits, fresh = zip(
        *(_parts(events, check, at.seeds.at(k)) for k, events in enumerate((reference, generated))),
        strict=True,
    )
    drawn = [_some(events, most, at.seeds.at("fit", k)) for k, events in enumerate(fits)]
    levels, sides = _sides(drawn, method, learner, folds, at.seeds)
    functions = functions_of(
        reference.features, sides[1].x, sides[1].level, marginals=method != "classifier"
    )
    ratio, factor = learn_ratio(
        reference.features, functions, sides[0], sides[1], settings, at.seeds, refits=refits
    )
    found = gaps(reference.features, reference.x, generated.x)
    bare = Reweighting(
        features=reference.features,
        ratio=ratio,
        factor=factor,
        method=method,
        n_reference=drawn[0].n,
        n_generated=drawn[1].n,
        n_checked=(fresh[0].n, fresh[1].n),
        n_weighted=generated.n,
        effective_size=0.0,
        before=(),
        after=(),
        looks=looks,
        p_value=PValue.exact(1.0),
        gaps=found,
        warnings=_warnings(ratio, found),
        levels=levels,
    )
    return _tested(at, bare, generated, fresh, permutations)


def _parts(events: Events, check: float, seeds: Seeds) -> tuple[Events, Events]:
    fit, fresh = events.split([1.0 - check, check], seeds)
    return fit, fresh


def _some(events: Events, most: int, seeds: Seeds) -> Events:
    return events if events.n <= most else events.split([most / events.n], seeds)[0]


def _sides(
    drawn: Sequence[Events], method: Method, learner: object, folds: int, seeds: Seeds
) -> tuple[Levels, list[Side]]:
    if method == "tilt":
        none = Levels(())
        return none, [Side.of(each.x, none.of(each), each.weights) for each in drawn]
    weighted = any(each.weights is not None for each in drawn)
    classifier: Classifier = check_learner(learner or boosted_trees(), weighted=weighted)
    levels, ordered = cross_fitted(drawn, classifier, folds, seeds.at("classifier"))
    return levels, [Side.of(each.x, level, each.weights) for each, level in ordered]


def _tested(
    run: Run,
    bare: Reweighting,
    generated: Events,
    fresh: Sequence[Events],
    permutations: int,
) -> Reweighting:
    """Return the result with its tests, and what the generated events are worth with weights."""
    rows = bare._rows(fresh[1])  # no generated event lies in a gap
    u = np.ones(fresh[1].n) if fresh[1].weights is None else fresh[1].weights
    weighted = Events(
        fresh[1].x,
        weights=u * np.exp(bare.ratio.log_ratio(rows)),
        features=fresh[1].features,
        group=fresh[1].group,
    )
    coordinates = Standardised()
    plain = pool_samples(fresh[0], fresh[1], coordinates)
    held = pool_samples(fresh[0], weighted, coordinates, variations=bare._varied(rows))
    before = permute_pool(run.at("before"), plain, _TESTS, permutations=permutations)
    after = permute_pool(run.at("after"), held, _TESTS, permutations=permutations)
    own = np.ones(generated.n) if generated.weights is None else generated.weights
    w = own * bare.weights(generated)
    smallest = min(1.0, float(holm([each.p_value.value for each in after]).min()) * bare.looks)
    said = (_NARROW,) if bare.method == "tilt" and smallest <= _FAILS else ()
    return replace(
        bare,
        warnings=(*bare.warnings, *said),
        before=before,
        after=after,
        p_value=PValue.exact(smallest, "Holm, Bonferroni"),
        effective_size=float(w.sum() ** 2 / (w @ w)),
    )


def _warnings(ratio: DiscrepancyFit, found: Sequence[Gap]) -> tuple[str, ...]:
    out = [f"{gap}: weights cannot make events there" for gap in found]
    if ratio.record.effective_reference < 0.1 * ratio.record.reference:
        out.append(
            f"few events carry the weights: {ratio.record.reference} generated ones are worth "
            f"{ratio.record.effective_reference:.0f}"
        )
    return tuple(out)


def _check(method: str, check: float, looks: int, folds: int, most: int) -> None:
    require(method in METHODS, "method", got=repr(method), expected=" or ".join(map(repr, METHODS)))
    require(0.05 <= check <= 0.9, "check", got=check, expected="a fraction from 0.05 to 0.9")
    require(looks >= 1, "looks", got=looks, expected="one or more")
    require(folds >= 2, "folds", got=folds, expected="two or more")
    require(most >= _LEAST_FIT, "most", got=most, expected=f"{_LEAST_FIT} or more")


def check_samples(reference: Events, generated: Events, check: float) -> None:
    """Raise unless both samples can be split into parts that can be fitted and tested.

    Raises
    ------
    InputError
        For fewer than 50 events or groups in a part, or negative weights.
    """
    for name, events in (("reference", reference), ("generated", generated)):
        if events.signed:
            raise InputError(
                f"{name}.weights",
                got="negative weights",
                expected="positive ones: a ratio of densities that may be negative is no weight",
                remedy="Unweight or resample the sample first.",
            )
        least = min(check, 1.0 - check) * events.n_groups
        what = "events" if events.group is None else "groups"
        require(
            least >= _FEWEST,
            name,
            got=f"{events.n_groups} {what}, {least:.0f} in the smaller part",
            expected=f"{_FEWEST} {what} or more in either part",
            remedy="Take more events.",
        )
