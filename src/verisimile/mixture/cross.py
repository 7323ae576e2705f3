r"""From an ensemble over folds and its own events to a mixture: every event used, none twice.

The members are averages over the folds, :math:`g_i = \frac1K \sum_k f_{i,k}`.  Weights and
discrepancy are fitted to all events, where the density of a member at an event is that of the flow
which did not see it (stacking).  That keeps a flow that has learnt events by heart from being
preferred.  It does not make the members independent of the events: each has learnt from most.
"""

from __future__ import annotations

from verisimile.core.run import Run
from verisimile.data.events import match_features
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.provenance import warn_overlap
from verisimile.ensemble.cross import CrossEnsemble
from verisimile.mixture.bind import (
    Bootstrap,
    PseudoEvents,
    WeightSettings,
    bound_mixture,
    resolved_covariance,
)
from verisimile.mixture.discrepancy.corrected import corrected_by
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.discrepancy.settings import check_discrepancy
from verisimile.mixture.model import Mixture
from verisimile.mixture.solvers.newton import NewtonSolver
from verisimile.mixture.solvers.protocol import WeightSolver

# The error of the corrected density is X + Y: what the events have left of the members' error,
# and the noise of the events that the correction takes over.  The covariance of the fit is
# var X + var Y.  As the members have learnt from the same events, X and Y are not independent, but
# var(X + Y) <= 2 (var X + var Y) whatever their correlation, and in every direction.
_ANY_CORRELATION = 2.0


def fit_cross_mixture(
    run: Run,
    ensemble: CrossEnsemble,
    events: EventsLike,
    *,
    solver: WeightSolver = NewtonSolver(),  # noqa: B008  (a frozen value)
    pseudo: PseudoEvents = PseudoEvents(),  # noqa: B008  (a frozen value)
    covariance: str | Bootstrap = "sandwich",
    discrepancy: Discrepancy | None = Discrepancy(),  # noqa: B008  (a frozen value)
) -> Mixture:
    r"""Fit weights and discrepancy to the very events of an ensemble over folds.

    .. math:: L(w) = -\tfrac1n \sum_n u_n \log \sum_i w_i f_{i,k(n)}(x_n)
              + \left(\sum_i w_i - 1\right)

    k(n) is the fold of event n: its densities are those of the flows that have not seen it.  The
    covariance of weights and discrepancy is twice that of independent events:

    .. math:: \mathrm{var}(X + Y) \le 2\,(\mathrm{var} X + \mathrm{var} Y)

    for the error X that is left of the members, and the noise Y of the events, whatever part of Y
    the members have learnt too.  Errors are right where they have learnt all of it, and wide by up
    to a factor of 1.4 where they have not.

    Parameters
    ----------
    run
        Random streams and storage, as for :func:`~verisimile.mixture.bind.fit_mixture`.
    ensemble, events
        Ensemble over folds, and the events that it was trained on, in the same order.
    solver, pseudo, covariance, discrepancy
        As for :func:`~verisimile.mixture.bind.fit_mixture`.  With ``discrepancy=None`` the errors
        are those of the weights *given* the members, as if the events were independent of these.

    Raises
    ------
    InputError
        If the events are not those of the training.
    NumericsError
        If the fit has no certified optimum.

    References
    ----------
    D. Wolpert, Neural Networks 5 (1992) 241 (stacking);
    M. van der Laan, E. Polley, A. Hubbard, Stat. Appl. Genet. Mol. Biol. 6 (2007) 25.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> events = vs.Events(np.random.default_rng(1).normal(size=(400, 1)), names=("m",))
    >>> trainer = vs.density.GaussianMixtureTrainer(components=(1,))
    >>> run = vs.Run(vs.Seeds(1))
    >>> ensemble = vs.fit_cross_ensemble(run, events, vs.BootstrapPlan(members=2), trainer, folds=2)
    >>> mixture = vs.fit_cross_mixture(run, ensemble, events, discrepancy=None)
    >>> mixture.weights.shape
    (2,)
    """
    matched = match_features(as_events(events, "events"), ensemble.features)
    check_discrepancy(discrepancy)
    settings = WeightSettings(solver, pseudo, resolved_covariance(covariance))
    logf = ensemble.out_of_fold(matched)
    warn_overlap((), matched, "weight-fit")  # no overlap: rows of groups
    mixture = bound_mixture(run, ensemble, logf, matched, ensemble.provenance, settings)
    if discrepancy is None:
        return mixture
    return corrected_by(run, mixture, matched, logf, discrepancy, inflation=_ANY_CORRELATION)
