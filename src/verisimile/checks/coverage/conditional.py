"""Coverage for given members: weights, and a discrepancy, are fitted anew in every data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from verisimile.checks.coverage.basis import BasisFit, BasisTerm, add_basis_variance
from verisimile.checks.coverage.corrected import JointRefit, require_no_basis
from verisimile.checks.coverage.members import (
    Aim,
    PooledDraws,
    member_responses,
    pilot_columns,
    pseudo_events,
)
from verisimile.checks.coverage.observables import BoundObservable, Observable, bind_all
from verisimile.checks.coverage.responses import ObservableEstimate, Response
from verisimile.checks.coverage.result import CONDITIONAL, Coverage, check_sizes, run_experiments
from verisimile.checks.coverage.truth import (
    MixtureTruth,
    closure_notes,
    draw_with_densities,
    remaining,
    true_values,
    truth_key,
    truth_notes,
    truth_of,
)
from verisimile.core.arrays import digest
from verisimile.core.canonical import JSON
from verisimile.core.errors import require
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.data.inputs import EventsLike
from verisimile.density.protocol import DensityEstimator, Sampler
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.stats.intervals import ONE_SIGMA

_TRUTH_PER_EVENT = 400  # an error of a twentieth of the events' own
_DATASETS, _FEW_DATASETS = 300, 100
_CHUNK = 10  # data sets per record; each has its own stream, so this changes no number


@dataclass(frozen=True, slots=True)
class PseudoDraws:
    """Pseudo-events of the refits, drawn once from the members and used in all data sets.

    Attributes
    ----------
    count
        How many; none at all for zero.
    strength
        Real events that they weigh together.
    """

    count: int
    strength: float = 1.0

    def __post_init__(self) -> None:
        fine = self.count >= 0 and self.strength > 0.0
        expected = "a count >= 0 and a strength > 0"
        require(fine, "PseudoDraws", got=repr(self), expected=expected)


def coverage(  # noqa: PLR0913  (what a study consists of)
    run: Run,
    mixture: Mixture,
    truth: Sampler | EventsLike | None = None,
    *,
    observables: Mapping[str, Observable],
    level: float = ONE_SIGMA,
    datasets: int | None = None,
    events: int | None = None,
    pseudo: PseudoDraws | None = None,
    draws: PooledDraws = PooledDraws(),  # noqa: B008  (a frozen value)
    basis: BasisTerm | None = None,
) -> Coverage:
    r"""Count how often intervals on observables contain the truth, for given members.

    In every data set the weights and their covariance C are fitted to fresh
    events of the truth, and the interval is

    .. math:: |\hat O - O| \le z_{level}\, \sigma, \quad \hat O = \sum_i w_i O_i, \quad
              \sigma^2 = O^T C O + w^T V w

    with V the Monte-Carlo covariance of the members' expectations.  A change of the basis is not
    in it.

    If the mixture has a discrepancy
    (:class:`~verisimile.mixture.discrepancy.corrected.CorrectedMixture`), that is fitted anew with
    the weights, and intervals are those of the corrected law.  Draws of the mixture are shared by
    all data sets; a fit then costs about two seconds at 20 000 of them and some hundred
    functions, in proportion to both.

    Parameters
    ----------
    run
        Random streams, execution and storage.
    mixture
        Its members form the basis; its features name the columns.
    truth
        Draws events; with :class:`KnownTruth` also true values.  Others are
        exact if the truth knows them, and estimated from a million draws
        otherwise; with :class:`SampledTruth` they are those of its sample.  The
        mixture itself (closure), if not given.
    observables
        What to look at, by name.
    level
        Nominal content of the intervals.
    datasets
        Pseudo-experiments; if not given 300, and 100 with a discrepancy.
    events
        Events in each; as many as the mixture was fitted to, if not given.
    pseudo
        Pseudo-events of the refits; as in the mixture's own fit, if not given.  There are none
        with a discrepancy.
    draws
        Draws of the members for their expectations, where these are not exact; with a
        discrepancy the draws are those of its fit.
    basis
        Adds the members' own variance to every error (:class:`LeaveOneOut`);
        nothing if not given.  With given members it is real in no data set, and a discrepancy
        has it already.

    Raises
    ------
    InputError
        If sizes are impossible, features of truth and mixture differ, or `pseudo` or `basis` is
        given with a discrepancy.

    References
    ----------
    G. Badaracco et al., eq. 4.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> from scipy import stats
    >>> members = [vs.adapt(stats.norm(mean)) for mean in (-0.5, 0.5)]
    >>> x = np.random.default_rng(1).normal(size=(400, 1))
    >>> fit = vs.fit_weights(np.column_stack([each.log_prob(x) for each in members]))
    >>> mixture = vs.Mixture(members, fit)
    >>> truth = vs.KnownTruth(vs.adapt(stats.norm()), {"mean": 0.0})
    >>> mean = {"mean": vs.Moment("x0")}
    >>> run = vs.Run(vs.Seeds(1))
    >>> found = vs.coverage(run, mixture, truth, observables=mean, datasets=20)
    >>> found.named("mean").covered.n if False else type(found).__name__
    'Coverage'
    """
    n = mixture.fit.record.n_events if events is None else events
    count = usual_datasets(mixture) if datasets is None else datasets
    check_sizes(level=level, datasets=count, events=n)
    require_no_basis(mixture, basis)
    require(
        pseudo is None or not isinstance(mixture, CorrectedMixture),
        "pseudo",
        got=repr(pseudo),
        expected="none: weights and discrepancy are fitted by moments of the events",
    )
    given = None if truth is None else truth_of(truth, mixture.features)
    if given is not None:
        got, expected = f"{given.n_features} features", f"{mixture.n_features}"
        require(given.n_features == mixture.n_features, "truth", got=got, expected=expected)
    bound = bind_all(observables, pilot_columns(mixture, run.seeds.at("coverage")))
    experiment, values = (
        _corrected_study(run, mixture, given, bound, n)
        if isinstance(mixture, CorrectedMixture)
        else _weight_study(run, mixture, given, bound, n, pseudo=pseudo, draws=draws, basis=basis)
    )
    return run_experiments(
        run,
        experiment,
        experiment.identity(mixture.fingerprint),
        values,
        level=level,
        datasets=count,
        chunk=_CHUNK,
        notes=closure_notes(mixture, n) if given is None else truth_notes(given, n, count),
    )


def _corrected_study(
    run: Run,
    mixture: CorrectedMixture,
    given: Sampler | None,
    bound: Mapping[str, BoundObservable],
    events: int,
) -> tuple[_CorrectedRefit, dict[str, Estimate]]:
    truth: Sampler = MixtureTruth(mixture) if given is None else given
    refit = JointRefit.of(mixture, *mixture.weighted_draws(run))
    # The draws of the fit are too few for true values of a closure: refits follow their events.
    sample = {} if given is not None else {"sample": _TRUTH_PER_EVENT * events}
    values = true_values(truth, bound, run.seeds.at("coverage", "truth"), **sample)
    return _CorrectedRefit(truth, refit, tuple(bound.values()), events), values


def _weight_study(  # noqa: PLR0913  (the settings of the refits)
    run: Run,
    mixture: Mixture,
    given: Sampler | None,
    bound: Mapping[str, BoundObservable],
    events: int,
    *,
    pseudo: PseudoDraws | None,
    draws: PooledDraws,
    basis: BasisTerm | None,
) -> tuple[_WeightRefit, dict[str, Estimate]]:
    record, seeds = mixture.fit.record, run.seeds.at("coverage")
    plan = pseudo or PseudoDraws(record.n_pseudo, record.pseudo_strength or 1.0)
    aim = Aim(events, closure=given is None)
    responses = member_responses(run, mixture, list(bound.values()), draws, aim)
    if given is None:
        # True values come from the same draws: their error is in no difference.
        responses = tuple(response.certain() for response in responses)
        known = [response.value(mixture.weights) for response in responses]
        values = {name: Estimate(item, 0.0) for name, item in zip(bound, known, strict=True)}
    else:
        values = true_values(given, bound, seeds.at("truth"))
    experiment = _WeightRefit(
        truth=MixtureTruth(mixture) if given is None else given,
        members=mixture.members,
        responses=responses,
        pseudo=pseudo_events(mixture, plan.count, plan.strength, seeds.at("pseudo")),
        solver=NewtonSolver(),
        events=events,
        basis=basis,
    )
    return experiment, values


def usual_datasets(mixture: Mixture) -> int:
    """Return how many data sets a study has unless told: fewer where each has a discrepancy."""
    return default_datasets(corrected=isinstance(mixture, CorrectedMixture))


def default_datasets(*, corrected: bool) -> int:
    """Return the same before there is a mixture: whether it will have a discrepancy is enough."""
    return _FEW_DATASETS if corrected else _DATASETS


@dataclass(frozen=True, slots=True, eq=False)
class _WeightRefit:
    """One pseudo-experiment with fixed members."""

    truth: Sampler
    members: tuple[DensityEstimator, ...]
    responses: tuple[Response, ...]
    pseudo: Pseudo | None
    solver: NewtonSolver
    events: int
    basis: BasisTerm | None

    def __call__(self, seeds: Seeds) -> list[ObservableEstimate]:
        """Draw, fit, and return all observables."""
        _, logf = draw_with_densities(self.truth, self.members, self.events, seeds.numpy())
        fit = fit_weights(logf, solver=self.solver, pseudo=self.pseudo)
        share = remaining(self.truth, self.events)
        found = [response.estimate(fit).with_share(share) for response in self.responses]
        if self.basis is None:
            return found
        fitted = BasisFit(fit, logf, self.pseudo)
        return add_basis_variance(found, self.responses, fitted, self.basis, seeds.at("basis"))

    def identity(self, fingerprint: str) -> dict[str, JSON]:
        """Return all that determines the outcome, apart from the seeds."""
        pseudo = self.pseudo
        return {
            "mode": CONDITIONAL,
            "mixture": fingerprint,
            "truth": truth_key(self.truth),
            "responses": [response.digest for response in self.responses],
            "pseudo": digest(pseudo.log_densities) if pseudo else "",
            "strength": pseudo.strength if pseudo else 0.0,
            "solver": repr(asdict(self.solver)),
            "events": self.events,
            "basis": repr(self.basis),
        }


@dataclass(frozen=True, slots=True, eq=False)
class _CorrectedRefit:
    """One pseudo-experiment with fixed members: weights and discrepancy are fitted."""

    truth: Sampler
    refit: JointRefit
    bound: tuple[BoundObservable, ...]
    events: int

    def __call__(self, seeds: Seeds) -> list[ObservableEstimate]:
        """Draw, fit, and return all observables."""
        members = self.refit.mixture.members
        drawn = draw_with_densities(self.truth, members, self.events, seeds.numpy())
        share = remaining(self.truth, self.events)
        law = self.refit(*drawn, seeds.at("discrepancy"))
        return [found.with_share(share) for found in law.estimates(self.bound)]

    def identity(self, fingerprint: str) -> dict[str, JSON]:
        """Return all that determines the outcome, apart from the seeds."""
        return {
            "mode": CONDITIONAL,
            "mixture": fingerprint,
            "truth": truth_key(self.truth),
            "observables": [item.key for item in self.bound],
            "reference": digest(self.refit.reference.x),
            "settings": repr(self.refit.mixture.discrepancy.settings),
            "events": self.events,
        }
