"""``validate``: one call from two samples to everything that a report needs."""

from __future__ import annotations

import numpy as np

from verisimile.checks.known_truth.likelihood import LikelihoodTest, likelihood_test
from verisimile.checks.support.study import Support, support_metrics
from verisimile.checks.twosample.sensitivity import Sensitivity
from verisimile.checks.twosample.windows import Windows, deviating_windows
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.protocol import DensityEstimator
from verisimile.samples.angles import circular_events
from verisimile.validation.alike import alike_of
from verisimile.validation.battery import BatteryOutcome, battery_of, sensitivities_of
from verisimile.validation.metrics import metrics_of
from verisimile.validation.physics import further_p_values, physics_of
from verisimile.validation.result import Bound, Validation
from verisimile.validation.samples import Inputs, gathered_inputs
from verisimile.validation.study import Study

_SUPPORT_EVENTS = 10_000  # of each sample: time and memory go with the square
_SCAN = "interval-scan"


def validate(
    run: Run,
    reference: Events,
    generated: Events,
    *,
    train: Events | None = None,
    study: Study | None = None,
    density: DensityEstimator | None = None,
) -> Validation:
    r"""Compare a generated sample with a reference sample in every way that a study asks for.

    Two-sample tests on common relabelings, a classifier, and the study's selections and
    constraints give p-values; Holm's correction and a global p-value account for their
    number.  Marginals, moments, correlations, support metrics and the windows of the
    largest deviations say what and where.  No verdict is made here: see
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
    asked = study or Study()
    inputs = gathered_inputs(reference, generated, train, asked)
    at = run.at("validate")
    known = _likelihood(at, inputs, density, toys=asked.battery.relabelings)
    physics = physics_of(inputs, asked) if _wants_physics(asked) else None
    tested = battery_of(
        at,
        inputs.reference,
        inputs.generated,
        asked.battery,
        further={
            **({} if known is None else {"likelihood": known.p_value, "ranks": known.rank_p_value}),
            **({} if physics is None else further_p_values(physics)),
        },
    )
    support, refusals = _support(at, inputs, wanted=asked.battery.support)
    return Validation(
        tests=tested.tests,
        p_value=tested.p_value,
        required=asked.battery.required,
        metrics=metrics_of(tested, support, physics, inputs.overlaps),
        bounds=tuple(Bound(name, t.min, t.max) for name, t in asked.thresholds.items()),
        sensitivities=_sensitivities(at, inputs, tested, asked),
        windows=_windows(inputs, tested),
        classifier=None if tested.classifier is None else tested.classifier.without_events(),
        support=support,
        physics=physics,
        likelihood=None if known is None else known.without_events(),
        overlaps=inputs.overlaps,
        alike=alike_of(at, inputs.reference, inputs.generated, tested.permuted),
        rows=inputs.rows,
        n_reference=inputs.reference.n,
        n_generated=inputs.generated.n,
        warnings=tuple(dict.fromkeys((*inputs.warnings, *tested.warnings(), *refusals))),
    )


def _likelihood(
    run: Run, inputs: Inputs, density: DensityEstimator | None, *, toys: int
) -> LikelihoodTest | None:
    if density is None:
        return None
    return likelihood_test(run, density, inputs.generated, toys=toys)


def _wants_physics(study: Study) -> bool:
    return study.battery.physics or bool(study.selections or study.constraints)


def _sensitivities(
    run: Run, inputs: Inputs, tested: BatteryOutcome, study: Study
) -> tuple[Sensitivity, ...]:
    if not study.battery.sensitivity:
        return ()
    found = sensitivities_of(run, inputs.reference, inputs.generated, tested, level=study.level)
    return tuple(found)


def _windows(inputs: Inputs, tested: BatteryOutcome) -> Windows | None:
    scan = tested.permuted.get(_SCAN)
    if scan is None:
        return None
    return deviating_windows(inputs.reference, inputs.generated, scan=scan)


def _support(run: Run, inputs: Inputs, *, wanted: bool) -> tuple[Support | None, tuple[str, ...]]:
    """Return support metrics on as many unweighted events as time and memory allow."""
    if not wanted:
        return None, ()
    samples = (inputs.reference, inputs.generated)
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
