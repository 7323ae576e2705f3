"""Coverage of the whole procedure: members and weights are made anew in every data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from verisimile.checks.coverage.basis import BasisTerm, Fitted, widened
from verisimile.checks.coverage.bound import Columns
from verisimile.checks.coverage.experiments import check_sizes, run_experiments
from verisimile.checks.coverage.members import PooledDraws, local_responses, pilot_columns, pooled
from verisimile.checks.coverage.observables import Observable, bind_all
from verisimile.checks.coverage.responses import Propagated
from verisimile.checks.coverage.result import RETRAINED, Coverage
from verisimile.checks.coverage.summary import summarise
from verisimile.checks.coverage.truth import draw_truth, true_values, truth_key, truth_notes
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.protocol import Sampler
from verisimile.mixture.fit import Pseudo
from verisimile.mixture.model import Mixture
from verisimile.stats.intervals import ONE_SIGMA

__all__ = ["MakeMixture", "coverage_retrained"]

MakeMixture = Callable[[Seeds, Events], Mixture | tuple[Mixture, Events]]


def coverage_retrained(  # noqa: PLR0913  (what a study consists of)
    run: Run,
    make_mixture: MakeMixture,
    truth: Sampler,
    *,
    observables: Mapping[str, Observable],
    level: float = ONE_SIGMA,
    datasets: int = 300,
    events: int,
    draws: PooledDraws = PooledDraws(),  # noqa: B008  (a frozen value)
    basis: BasisTerm | None = None,
) -> Coverage:
    """Count how often intervals contain the truth when everything is made anew.

    Parameters
    ----------
    run
        Random streams, execution and storage.
    make_mixture
        ``make_mixture(seeds, events)`` trains members and fits weights on one
        data set; it splits the events as it likes.  With `basis` it returns
        the mixture and the events of the weight fit.  It is identified by its
        name: after a change, use ``run.at("another word")``.
    truth, observables, level, datasets
        As for :func:`~verisimile.checks.coverage.conditional.coverage`; features
        have the names ``x0, x1, ...`` that :class:`Events` gives them.
    events
        Events per data set, for training and weights together.
    draws
        Draws of the members for their expectations, where these are not exact.
    basis
        Adds the members' own variance to every error (:class:`LeaveOneOut`);
        nothing if not given.

    Returns
    -------
    Coverage
        With mode ``"retrained"``.

    Raises
    ------
    InputError
        For impossible sizes, unknown features or observables.
    NumericsError
        If more than a tenth of the data sets end in another error than a failed fit.
    """
    check_sizes(level=level, datasets=datasets, events=events)
    pilot = draw_truth(truth, 1000, run.seeds.at("coverage", "pilot").numpy())
    columns = Columns(tuple(Events(pilot).names), pilot)
    bound = dict(zip(observables, bind_all(observables, columns), strict=True))
    identity: dict[str, JSON] = {
        "mode": RETRAINED,
        "recipe": _name(make_mixture),
        "truth": truth_key(truth),
        "observables": [item.key for item in bound.values()],
        "events": events,
        "draws": repr(draws),
        "basis": repr(basis),
    }
    outcomes = run_experiments(
        run,
        _Retrain(truth, make_mixture, dict(observables), events, draws, basis),
        identity,
        datasets=datasets,
        observables=len(bound),
        chunk=1,
    )
    truths = true_values(truth, bound, run.seeds.at("coverage", "truth"))
    found = summarise(
        outcomes, list(observables), truths, mode=RETRAINED, level=level, n_events=events
    )
    return replace(found, warnings=(*found.warnings, *truth_notes(truth, events, datasets)))


@dataclass(frozen=True, slots=True, eq=False)
class _Retrain:
    """One pseudo-experiment from its events to its observables."""

    truth: Sampler
    make_mixture: MakeMixture
    observables: Mapping[str, Observable]
    events: int
    draws: PooledDraws
    basis: BasisTerm | None

    def __call__(self, seeds: Seeds) -> list[Propagated]:
        """Draw, train, fit, and return all observables."""
        x = draw_truth(self.truth, self.events, seeds.at("events").numpy())
        made = self.make_mixture(seeds.at("mixture"), Events(x))
        mixture = made if isinstance(made, Mixture) else made[0]
        bound = bind_all(self.observables, pilot_columns(mixture, seeds))
        n = mixture.fit.record.n_events
        responses = local_responses(seeds, mixture, bound, n, self.draws)
        found = [response.estimate(mixture.fit) for response in responses]
        if self.basis is None:
            return found
        logf = mixture.log_densities(_weighting(made).x)
        pseudo = _pseudo(mixture, seeds.at("basis", "pseudo"))
        fitted = Fitted(mixture.fit, logf, pseudo)
        return widened(found, responses, fitted, self.basis, seeds.at("basis"))


def _weighting(made: Mixture | tuple[Mixture, Events]) -> Events:
    if isinstance(made, Mixture):
        raise InputError(
            "make_mixture",
            got="a mixture alone",
            expected="a mixture and the events of its weight fit, to refit with other members",
            remedy="Return (mixture, events), or leave out basis=.",
        )
    return made[1]


def _pseudo(mixture: Mixture, seeds: Seeds) -> Pseudo | None:
    record = mixture.fit.record
    if not record.n_pseudo:
        return None
    z = pooled(mixture.members, record.n_pseudo, seeds.numpy())
    return Pseudo(mixture.log_densities(z), record.pseudo_strength)


def _name(function: MakeMixture) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
