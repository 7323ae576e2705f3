"""``validate``: one call from two samples to everything that a report needs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from verisimile.checks.known_truth.likelihood import likelihood_test
from verisimile.checks.physics.constraints import violations
from verisimile.checks.physics.correlations import CorrelationComparison, correlations
from verisimile.checks.physics.histograms import marginal_pair, pair_map
from verisimile.checks.physics.moments import moments
from verisimile.checks.physics.selections import efficiencies
from verisimile.checks.support.study import Support, support_metrics
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.windows import deviating_windows
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike
from verisimile.density.protocol import DensityEstimator
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import Standardised, circular_events
from verisimile.stats.pvalues import PValue
from verisimile.validation.battery import BatteryOutcome, alike_of, battery_of, sensitivities_of
from verisimile.validation.missing import MISSING_VALUES, missing_values_test
from verisimile.validation.result import MetricBound, Physics, Validation
from verisimile.validation.samples import Inputs, Overlap, gathered_inputs
from verisimile.validation.study import Study, conditions

_SUPPORT_EVENTS = 10_000  # of each sample: time and memory go with the square
_SCAN = "interval-scan"
_PLANES = 2
_MOST_BINS, _PER_CELL = 15, 25  # along each axis, events of a cell


def validate(
    run: Run,
    reference: EventsLike,
    generated: EventsLike,
    *,
    train: EventsLike | None = None,
    study: Study | None = None,
    density: DensityEstimator | None = None,
) -> Validation:
    r"""Compare a generated sample with a reference sample in every way that a study asks for.

    Two-sample tests on common relabelings, a classifier, the study's selections and constraints,
    and the rows that were dropped for missing values give p-values; Holm's correction and a
    global p-value account for their number.  Marginals, moments, correlations, support metrics
    and the windows of the largest deviations say what and where.  No verdict is made here: see
    :func:`~verisimile.report.write.write_report`.

    Parameters
    ----------
    run
        Random streams (``"validate"``), execution and storage.
    reference
        Events of the truth that the generator has not seen.
    generated
        Events of the generator, features matched by name.
    train
        The generator's training events: memorised events are found, and marginals get
        their yardstick, an independent truth sample of the same size.
    study
        What is asked for; everything by default.
    density
        The truth's own density of the compared features, where it is known: the
        likelihood of the generated events under it is tested as well.

    Raises
    ------
    InputError
        If features do not match, a sample is too small or in other units, or an
        expression of the study cannot be evaluated.

    Examples
    --------
    >>> import numpy as np
    >>> from verisimile.core.random import Seeds
    >>> from verisimile.validation.study import Battery
    >>> x = np.random.default_rng(1).normal(size=(400, 2))
    >>> quick = Study(battery=Battery(tests=("energy",), sensitivity=False, support=False))
    >>> validate(Run(Seeds(1)), Events(x[:200]), Events(x[200:] + 1.0), study=quick)
    Validation(200 against 200 events, 1 of 1 tests, global p = 0.001)
    """
    reference, generated = comparable(reference=reference, generated=generated)
    if train is not None:
        _, train = comparable(reference=reference, train=train)
    asked = study or Study()
    inputs = gathered_inputs(reference, generated, train, asked)
    at, pair = run.at("validate"), (inputs.reference, inputs.generated)
    known, physics = None, None
    further: dict[str, PValue] = {}
    if density is not None:
        known = likelihood_test(at, density, inputs.generated, toys=asked.battery.permutations)
        further |= {"likelihood": known.p_value, "ranks": known.rank_p_value}
    if asked.battery.physics or asked.selections or asked.constraints:
        physics = physics_of(inputs, asked)
        further |= further_p_values(physics)
    lost = missing_values_test((reference, generated))
    if lost is not None:
        further[MISSING_VALUES] = lost
    tested = battery_of(at, *pair, asked.battery, further=further)
    sensitivities = sensitivities_of(at, tested, level=asked.level)
    support, refusals = _support(at, pair) if asked.battery.support else (None, ())
    scan = tested.permuted.get(_SCAN)
    return Validation(
        tests=tested.tests,
        p_value=tested.p_value,
        required=asked.battery.required,
        metrics=metrics_of(tested, support, physics, inputs.overlaps),
        bounds=tuple(MetricBound(name, t.min, t.max) for name, t in asked.thresholds.items()),
        sensitivities=tuple(sensitivities) if asked.battery.sensitivity else (),
        windows=None
        if scan is None
        else deviating_windows(*pair, scan=scan, pool=tested.pools.of(Standardised())),
        classifier=None if tested.classifier is None else tested.classifier.without_events(),
        support=support,
        physics=physics,
        likelihood=None if known is None else known.without_events(),
        overlaps=inputs.overlaps,
        alike=alike_of(at, *pair, tested.permuted),
        rows=inputs.rows,
        doubts=inputs.doubts,
        n_reference=pair[0].n,
        n_generated=pair[1].n,
        warnings=tuple(dict.fromkeys((*inputs.warnings, *tested.warnings(), *refusals))),
    )


def _support(run: Run, samples: tuple[Events, Events]) -> tuple[Support | None, tuple[str, ...]]:
    """Return support metrics on as many unweighted events as time and memory allow."""
    if any(events.weights is not None for events in samples):
        return None, ("no support metrics: they count events, and these have weights",)
    rng = run.seeds.at("support").numpy()
    x, y = (_thinned(events, rng) for events in circular_events(samples))
    scale, centre = x.std(axis=0), x.mean(axis=0)
    kept = scale > 0.0
    if not kept.any():
        return None, ("no support metrics: no feature of the reference sample varies",)
    x, y = (((part - centre)[:, kept]) / scale[kept] for part in (x, y))
    try:
        return support_metrics(x, y, rng), ()
    except InputError as error:
        return None, (f"no support metrics: {error}",)


def _thinned(events: Events, rng: np.random.Generator) -> Array:
    if events.n <= _SUPPORT_EVENTS:
        return events.x
    return events.x[rng.choice(events.n, _SUPPORT_EVENTS, replace=False)]


def physics_of(inputs: Inputs, study: Study) -> Physics:
    """Compare what a physicist looks at first; selections and constraints as the study has them."""
    reference, generated = inputs.reference, inputs.generated
    related = correlations(reference, generated) if reference.d > 1 else None
    worst = () if related is None else _planes(related, reference.names)
    ours, theirs = inputs.conditioned
    cells = min(reference.n, generated.n) / _PER_CELL
    bins = int(np.clip(math.sqrt(cells), 2, _MOST_BINS))
    return Physics(
        marginals=marginal_pair(reference, generated, train=inputs.train),
        moments=moments(reference, generated),
        correlations=related,
        planes=tuple(pair_map(reference, generated, (a.name, b.name), bins=bins) for a, b in worst),
        selections=efficiencies(ours, theirs, conditions(study.selections)),
        constraints=violations(ours, theirs, conditions(study.constraints)),
    )


def _planes(
    related: CorrelationComparison, names: tuple[str, ...]
) -> tuple[tuple[Feature, Feature], ...]:
    """Return the pairs of columns that differ most; an angle's cosine is no column."""
    pairs = related.worst(len(related.features) ** 2)
    return tuple(pair for pair in pairs if all(one.name in names for one in pair))[:_PLANES]


def further_p_values(physics: Physics) -> dict[str, PValue]:
    """Return the p-values of the study's own selections and constraints, by their names."""
    found = {f"selection {each.name}": (each.p_value, each.method) for each in physics.selections}
    found |= {
        f"constraint {each.name}": (each.p_value, each.method) for each in physics.constraints
    }
    return {
        name: PValue(value=p, low=p, high=p, null=method, n_null=0, n_failed=0)
        for name, (p, method) in found.items()
        if not math.isnan(p)
    }


def metrics_of(
    tested: BatteryOutcome,
    support: Support | None,
    physics: Physics | None,
    overlaps: tuple[Overlap, ...],
) -> dict[str, Estimate]:
    """Return every number that a threshold may name, with its error where it has one."""
    found: dict[str, Estimate] = {}
    if tested.p_value is not None:
        found["p"] = Estimate(tested.p_value.value, math.nan)
    found |= dict(_distances(tested.permuted))
    if tested.classifier is not None:
        found["auc"] = tested.classifier.auc
        fraction = tested.classifier.effective_fraction
        found["effective-fraction"] = Estimate(fraction, math.nan)
    if support is not None:
        found |= {metric.name: metric.value for metric in support.metrics}
    if physics is not None:
        found |= dict(_physics_metrics(physics))
    for each in overlaps:
        name = f"overlap/{each.first}-{each.second}"
        before = found[name].value if name in found else 0.0
        found[name] = Estimate(before + each.fraction, 0.0)
    return found


def _distances(permuted: Mapping[str, TwoSample]) -> Iterator[tuple[str, Estimate]]:
    for name, result in permuted.items():
        yield name, Estimate(result.observed, result.null_sd)
    if "frechet" in permuted:
        found = permuted["frechet"].details.get
        value, error = found("extrapolated", math.nan), found("extrapolated error", math.nan)
        yield "frechet/extrapolated", Estimate(value, error)
    if "energy" in permuted:
        value = permuted["energy"].details.get("n_equiv", math.nan)
        yield "n_equiv", Estimate(value, math.nan)


def _physics_metrics(physics: Physics) -> Iterator[tuple[str, Estimate]]:
    for pair in physics.marginals:
        name = pair.feature.name
        yield f"chi2/{name}", Estimate(pair.chi2 / max(pair.dof, 1), math.nan)
        yield f"separation/{name}", Estimate(pair.separation, math.nan)
        yield f"wasserstein/{name}", Estimate(pair.distance, math.nan)
    for selection in physics.selections:
        yield f"efficiency/{selection.name}", selection.difference
    for law in physics.constraints:
        yield f"violated/{law.name}", Estimate(law.generated.fraction, math.nan)
