"""Coverage for given members: only the weights are fitted anew in every data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from verisimile.checks.coverage.basis import BasisTerm, Fitted, widened
from verisimile.checks.coverage.experiments import check_sizes, run_experiments, summarise
from verisimile.checks.coverage.members import (
    PooledDraws,
    member_responses,
    pilot_columns,
    pooled,
)
from verisimile.checks.coverage.observables import Observable, bind_all
from verisimile.checks.coverage.responses import Propagated, Response
from verisimile.checks.coverage.result import CONDITIONAL, Coverage
from verisimile.checks.coverage.truth import (
    draw_truth,
    remaining,
    true_values,
    truth_key,
    truth_notes,
)
from verisimile.core.arrays import Array, digest
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.density.protocol import DensityEstimator, Sampler
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.sampling import member_log_densities, sample_signed
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.stats.intervals import ONE_SIGMA

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
        if self.count < 0 or not self.strength > 0.0:
            raise InputError(
                "PseudoDraws", got=repr(self), expected="a count >= 0 and a strength > 0"
            )


def coverage(  # noqa: PLR0913  (what a study consists of)
    run: Run,
    mixture: Mixture,
    truth: Sampler | None = None,
    *,
    observables: Mapping[str, Observable],
    level: float = ONE_SIGMA,
    datasets: int = 300,
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

    with V the Monte-Carlo covariance of the members' expectations.

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
        Pseudo-experiments.
    events
        Events in each; as many as the mixture was fitted to, if not given.
    pseudo
        Pseudo-events of the refits; as in the mixture's own fit, if not given.
    draws
        Draws of the members for their expectations, where these are not exact.
    basis
        Adds the members' own variance to every error (:class:`LeaveOneOut`);
        nothing if not given.  With given members it is real in no data set.

    Returns
    -------
    Coverage
        With mode ``"conditional"``: a change of the basis is not in it.

    Raises
    ------
    InputError
        For impossible sizes, unknown features or observables, or a truth of other features.
    NumericsError
        If more than a tenth of the data sets end in another error than a failed fit.

    References
    ----------
    G. Badaracco et al., eq. 4.
    """
    record = mixture.fit.record
    n = record.n_events if events is None else events
    check_sizes(level=level, datasets=datasets, events=n)
    source: Sampler = MixtureTruth(mixture) if truth is None else truth
    _same_features(mixture, source)
    plan = pseudo or PseudoDraws(record.n_pseudo, record.pseudo_strength or 1.0)
    seeds = run.seeds.at("coverage")
    bound = bind_all(observables, pilot_columns(mixture, seeds))
    responses = member_responses(run, mixture, bound, n, draws)
    if truth is None:
        # True values come from the same draws: their error is in no difference.
        responses = tuple(response.certain() for response in responses)
    experiment = _Refit(
        truth=source,
        members=mixture.members,
        responses=responses,
        pseudo=_pseudo(mixture, plan, seeds.at("pseudo")),
        solver=NewtonSolver(),
        events=n,
        basis=basis,
    )
    outcomes = run_experiments(
        run,
        experiment,
        experiment.identity(mixture.fingerprint),
        datasets=datasets,
        observables=len(bound),
        chunk=_CHUNK,
    )
    if truth is None:
        values = closure_values(mixture, responses)
        notes = closure_notes(mixture, n)
    else:
        labelled = dict(zip(observables, bound, strict=True))
        values = true_values(truth, labelled, seeds.at("truth"))
        notes = truth_notes(truth, n, datasets)
    found = summarise(
        outcomes, list(observables), values, mode=CONDITIONAL, level=level, n_events=n
    )
    return replace(found, warnings=(*found.warnings, *notes))


@dataclass(frozen=True, slots=True, eq=False)
class _Refit:
    """One pseudo-experiment with fixed members."""

    truth: Sampler
    members: tuple[DensityEstimator, ...]
    responses: tuple[Response, ...]
    pseudo: Pseudo | None
    solver: NewtonSolver
    events: int
    basis: BasisTerm | None

    def __call__(self, seeds: Seeds) -> list[Propagated]:
        """Draw, fit, and return all observables."""
        x = draw_truth(self.truth, self.events, seeds.numpy())
        logf = member_log_densities(self.members, x)
        fit = fit_weights(logf, solver=self.solver, pseudo=self.pseudo)
        share = remaining(self.truth, self.events)
        found = [response.estimate(fit).narrowed(share) for response in self.responses]
        if self.basis is None:
            return found
        fitted = Fitted(fit, logf, self.pseudo)
        return widened(found, self.responses, fitted, self.basis, seeds.at("basis"))

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


def _pseudo(mixture: Mixture, plan: PseudoDraws, seeds: Seeds) -> Pseudo | None:
    if not plan.count:
        return None
    z = pooled(mixture.members, plan.count, seeds.numpy())
    return Pseudo(member_log_densities(mixture.members, z), plan.strength)


def _same_features(mixture: Mixture, truth: Sampler) -> None:
    if truth.n_features != mixture.n_features:
        raise InputError(
            "truth", got=f"{truth.n_features} features", expected=f"{mixture.n_features}"
        )


_NOTICEABLE = 0.03  # standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class MixtureTruth:
    """Draws from the positive part of a fitted mixture."""

    mixture: Mixture

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return self.mixture.n_features

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` events ``(n, d)``."""
        return sample_signed(self.mixture.members, self.mixture.weights, n, rng).x

    def log_prob(self, x: Array) -> Array:
        """Return log-densities ``(n,)``."""
        return self.mixture.log_prob(x)


def closure_values(mixture: Mixture, responses: Sequence[Response]) -> tuple[Estimate, ...]:
    """Return the mixture's own values, whose Monte-Carlo error the estimates share exactly."""
    return tuple(Estimate(response.value(mixture.weights), 0.0) for response in responses)


def closure_notes(mixture: Mixture, events: int) -> tuple[str, ...]:
    r"""Return a warning if the negative mass, which no event can show, shifts the estimates.

    Of the order of :math:`N_- \sqrt{n}` standard deviations.
    """
    shift = mixture.fit.record.negative_mass * math.sqrt(events)
    if not shift > _NOTICEABLE:
        return ()
    return (
        f"closure: the mixture has a negative mass of {mixture.fit.record.negative_mass:.2g}, "
        f"which sampling cuts away: with {events} events estimates are off by about "
        f"{shift:.2g} standard deviations.",
    )
