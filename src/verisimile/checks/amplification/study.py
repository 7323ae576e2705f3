"""All measures of amplification of one generator, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from verisimile.checks.amplification.analytic import analytic_at
from verisimile.checks.amplification.averaging import Averaging, averaging
from verisimile.checks.amplification.conditional import (
    BINS,
    ConditionalAmplification,
    check_condition,
    conditional,
)
from verisimile.checks.amplification.kolmogorov import kolmogorov_features
from verisimile.checks.amplification.learned_score import FEWEST, kolmogorov_classifier
from verisimile.checks.amplification.memorisation import Memorisation, memorisation
from verisimile.checks.amplification.memorisation import check_samples as check_memorisation
from verisimile.checks.amplification.quadratic import check_samples as check_quadratic
from verisimile.checks.amplification.quadratic import quadratic
from verisimile.checks.amplification.quantile import (
    FINEST,
    quantile,
    quantile_of_trainings,
    require_holdout,
    shared_notes,
)
from verisimile.checks.amplification.regions import resolutions_of
from verisimile.checks.amplification.result import (
    Amplification,
    AmplificationCurve,
    check_plan,
)
from verisimile.checks.amplification.shares import reject_signed
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike, as_events, as_samples
from verisimile.mixture.model import Mixture
from verisimile.samples.columns import comparable

_FEWEST_MEMBERS = 3
LEVELS = (0.68, 0.95)
"""Contents of all intervals."""


@register("amplification-study", 1)
@dataclass(frozen=True, slots=True, eq=False)
class AmplificationStudy(Result):
    """How many events a generator is worth, by every measure that its samples allow.

    Attributes
    ----------
    n_generated
        Events of the first sample.
    quantile
        Region probabilities against the holdout: of this generator, or of the procedure
        that trained several.
    averaging
        Scatter of several generators over regions; none for fewer than three.
    analytic
        The mixture's own errors over the same regions; empty without a mixture.
    quadratic
        Energy distance to the holdout.
    kolmogorov
        KS distance of each feature: a lower limit on G, hardly more.
    entropy
        The label of resolution.
    memorisation
        Whether the generator repeats its training events; None without them.
    classifier
        KS distance of a classifier's score; None for a single feature, or few held-out events.
    conditional
        G in bins of a condition, with bands that hold together; None if none was asked for.
    """

    n_train: int
    n_generated: int
    n_holdout: int
    quantile: AmplificationCurve
    averaging: tuple[Averaging, ...]
    analytic: tuple[Amplification, ...]
    quadratic: Amplification
    kolmogorov: Mapping[str, Amplification]
    entropy: EntropyLabel
    memorisation: Memorisation | None
    warnings: tuple[str, ...] = ()
    classifier: Amplification | None = None
    conditional: ConditionalAmplification | None = None
    listed: ClassVar[tuple[str, ...]] = ("measures",)

    @property
    def measures(self) -> tuple[Amplification, ...]:
        """All of them, the lower limits of single features last."""
        averaged = (each.amplification for each in self.averaging)
        known = (*self.quantile.points, *averaged, *self.analytic, self.quadratic)
        scored = () if self.classifier is None else (self.classifier,)
        return (*known, *scored, *self.kolmogorov.values())

    def __repr__(self) -> str:
        """Return one line: sizes, and the finest point of the quantile measure."""
        return (
            f"AmplificationStudy({self.n_generated} generated from {self.n_train} training events, "
            f"{self.quantile.points[-1]!r})"
        )


def amplify(  # noqa: PLR0913  (samples, and what else is known of the generator)
    run: Run,
    generated: Sequence[EventsLike],
    holdout: EventsLike | None,
    *,
    n_train: int,
    train: EventsLike | None = None,
    members: Sequence[EventsLike] = (),
    mixture: Mixture | None = None,
    regions: Sequence[int] = FINEST,
    condition: str | None = None,
    bins: int | Sequence[float] = BINS,
) -> AmplificationStudy:
    r"""Measure the amplification :math:`G = n_\mathrm{equiv} / n_\mathrm{train}` of a generator.

    Parameters
    ----------
    run
        Random streams (``"amplify"``), execution and storage.
    generated
        A sample of one generator, or samples of several that were trained alike, each on
        events of its own: then the procedure that trains them is measured.
    holdout
        True events that no generator has seen; required.
    n_train
        Training events of each generator.
    train
        The training events, of the first generator if there are several: memorised events
        are looked for.
    members
        Samples of the members of an ensemble, whose scatter is measured if there are three
        or more; by default `generated`.
    mixture
        A fitted mixture of the same features, whose own errors are then compared.
    regions
        Resolutions.
    condition, bins
        A feature along which G is wanted too, at the coarsest resolution, and its bins: how many,
        or their inner edges (:func:`.conditional`).

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> generated, holdout = rng.normal(size=(5000, 1)), rng.normal(size=(2000, 1))
    >>> found = vs.amplify(vs.Run(vs.Seeds(1)), [generated], holdout, n_train=500, regions=(10,))
    >>> type(found).__name__
    'AmplificationStudy'
    """
    given = as_samples(generated, "generated")
    require(given, "generated", got="no sample", expected="one or more")
    holdout = require_holdout(holdout)
    if train is not None:
        train = as_events(train, "train")
    scattered = as_samples(members, "members")
    at = run.at("amplify")
    # Regions are columns of numbers: the mixture's members are asked in the same order.
    features = holdout.features if mixture is None else mixture.features
    samples = [match_features(each, features) for each in given]
    known = match_features(holdout, features)
    curve = (
        quantile(at, samples[0], known, n_train=n_train, regions=regions, train=train)
        if len(samples) == 1
        else quantile_of_trainings(at, samples, known, n_train=n_train, regions=regions)
    )
    scatter = [match_features(each, features) for each in scattered] or samples
    plan = resolutions_of(at.seeds.at("regions"), scatter, regions)
    averaged = tuple(
        averaging(at.at(each.count), plan.counted, n_train=n_train, regions=each)
        for each in plan.regions
        if len(scatter) >= _FEWEST_MEMBERS
    )
    own = () if mixture is None else analytic_at(at, mixture, plan.regions, n_train=n_train)
    distance = quadratic(at, samples[0], known, n_train, levels=LEVELS)
    features_alone = kolmogorov_features(samples[0], known, n_train, levels=LEVELS)
    scored = _scored(at, samples[0], known, n_train)
    along = (
        None
        if condition is None
        else conditional(
            at,
            samples,
            known,
            condition,
            n_train=n_train,
            train=train,
            bins=bins,
            regions=(min(regions),),
            levels=LEVELS,
        )
    )
    memory = (
        None
        if train is None
        else memorisation(at, samples[0], known, match_features(train, known.features))
    )
    points = (*curve.points, *(each.amplification for each in averaged), *own, distance)
    return AmplificationStudy(
        n_train=n_train,
        n_generated=samples[0].n,
        n_holdout=known.n,
        quantile=curve,
        averaging=averaged,
        analytic=own,
        quadratic=distance,
        kolmogorov=features_alone,
        entropy=entropy_label(n_train=n_train, n_generated=samples[0].n),
        memorisation=memory,
        warnings=(
            *_notes((curve, *points), features_alone, memory),
            *(() if along is None else along.warnings),
        ),
        classifier=scored,
        conditional=along,
    )


def _scored(run: Run, generated: Events, holdout: Events, n_train: int) -> Amplification | None:
    """Return the classifier's measure where it says more than single features."""
    if holdout.d < 2 or min(generated.n, holdout.n) < FEWEST:
        return None
    return kolmogorov_classifier(run, generated, holdout, n_train, levels=LEVELS)


def check_amplification(  # noqa: PLR0913  (what `amplify` takes)
    generated: Sequence[Events],
    holdout: Events,
    *,
    n_train: int,
    train: Events | None = None,
    mixture: Mixture | None = None,
    regions: Sequence[int] = FINEST,
    condition: str | None = None,
    bins: int | Sequence[float] = BINS,
) -> None:
    """Raise what :func:`amplify` would about the samples as such, before it measures anything.

    Without generated samples, as of a mixture that is yet to be asked, only the others are
    looked at.
    """
    check_plan(n_train, LEVELS)
    if mixture is not None:
        match_features(holdout, mixture.features)
    samples = [match_features(each, holdout.features) for each in generated]
    for each in samples:
        comparable(holdout=holdout, generated=each)
    reject_signed(holdout.weights, "holdout")
    for each in samples:
        reject_signed(each.weights, "generated")
    known = None if train is None else match_features(train, holdout.features)
    shared_notes(samples[0] if samples else holdout, holdout, known)
    if samples:
        resolutions_of(Seeds(0), samples, regions)
        check_quadratic(samples[:1], holdout)
    if known is not None:
        check_memorisation(samples[0] if samples else holdout, holdout, known)
    if condition is not None:
        check_condition(samples, holdout, condition, bins=bins, regions=(min(regions),))


def _notes(
    measures: Sequence[AmplificationCurve | Amplification],
    features: Mapping[str, Amplification],
    memory: Memorisation | None,
) -> tuple[str, ...]:
    """Return every warning once, each with its measure."""
    said = [(f"{each.measure} measure", each.warnings) for each in measures]
    said += [
        (f"{each.measure} measure of {name}", each.warnings) for name, each in features.items()
    ]
    if memory is not None:
        said.append(("memorisation", memory.warnings))
    return tuple(dict.fromkeys(f"{source}: {note}" for source, notes in said for note in notes))


@register("entropy-label", 1)
@dataclass(frozen=True, slots=True)
class EntropyLabel(Result):
    r"""The entropy bound on oversampling, a label of resolution and no measurement.

    A sample of n events fills :math:`n^{1/M}` bins, with :math:`2 \le M \le 3`
    between the finest useful binning and the coarsest.  Generated events read
    with exponent M carry as much information as the training events read with 2 if

    .. math:: (G\, n_\mathrm{train})^{1/M} = n_\mathrm{train}^{1/2}
              \quad\Rightarrow\quad
              G = n_\mathrm{train}^{M/2 - 1} \le \sqrt{n_\mathrm{train}}.

    The exponent of a sample is
    :math:`M_\mathrm{eff} = 2 \ln n_\mathrm{generated} / \ln n_\mathrm{train}`.

    References
    ----------
    G. Watts, K. Crow, arXiv:2412.18041.
    """

    n_train: int
    n_generated: int
    exponent: float

    @property
    def oversampling(self) -> float:
        """Generated over training events; the bound says that G is at most this."""
        return self.n_generated / self.n_train

    @property
    def largest_gain(self) -> float:
        """The bound at M = 3, the root of the training events."""
        return math.sqrt(self.n_train)

    @property
    def bins(self) -> float:
        """Bins, over all features together, that the generated sample fills at M = 3."""
        return float(self.n_generated ** (1.0 / 3.0))

    @property
    def standing(self) -> str:
        """Say M, and on which side of the bound it is."""
        where = (
            "fewer events than the training sample"
            if self.n_generated < self.n_train
            else "within the entropy bound"
            if self.oversampling <= self.largest_gain * (1.0 + 1e-12)
            else f"beyond the entropy bound of {self.n_train * self.largest_gain:.0f} events"
        )
        return (
            f"M = {self.exponent:.2f}, {where}. A label of resolution: it knows nothing of the "
            "generator."
        )

    @property
    def sentence(self) -> str:
        """Say where the sample stands."""
        return f"{self.n_generated} generated from {self.n_train} training events: {self.standing}"


def entropy_label(*, n_train: int, n_generated: int) -> EntropyLabel:
    """Return the label of a sample of `n_generated` events.

    Examples
    --------
    >>> round(entropy_label(n_train=10_000, n_generated=1_000_000).exponent, 9)
    3.0
    """
    require(
        n_train >= 2 and n_generated >= 1,
        "entropy_label",
        got=f"{n_generated} generated, {n_train} training events",
        expected="at least one and two",
    )
    exponent = 2.0 * math.log(n_generated) / math.log(n_train)
    return EntropyLabel(n_train, n_generated, exponent)
