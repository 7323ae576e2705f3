"""A classifier for conditional generators: is p(x | c) right, whatever the law of the contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats
from sklearn.ensemble import HistGradientBoostingRegressor

from verisimile.checks.classifier.auc import RankSums, auc, tied_p_value
from verisimile.checks.classifier.crossfit import ClassifierPool, Scorer, pool_of, unfinished_note
from verisimile.core.arrays import Array, BoolArray, IntArray, frozen
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.data.checked import name_list
from verisimile.data.events import Events
from verisimile.data.feature import require_columns
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import Circles
from verisimile.samples.learners import Classifier, boosted_trees, check_learner, scores, title
from verisimile.stats.pvalues import PValue

_BLOCK = 4_000_000  # labels at a time
_LEAST = 40  # test events with a partner at their context


@register("conditional-diagnosis", 1)
@dataclass(frozen=True, slots=True, eq=False)
class ConditionalDiagnosis(Result):
    r"""What a classifier finds between true and generated p(x | c).

    Attributes
    ----------
    auc
        Area under the ROC curve of :math:`\log w(x|c)` on a half that was not trained on.
    null_auc
        Its mean under relabeling within contexts, which need not be one half if the
        contexts' laws differ; 0.5 if contexts are not shared.
    p_value
        That p(x | c) is the same.  Exact, from labels permuted among events of equal
        context, if ``exact``; else of the generalised covariance measure, valid for many
        events if share and mean score are well estimated as functions of the context.
    exact
        Which of the two.
    context_auc
        Out-of-fold area of the classifier on c alone: 0.5 if the contexts' laws agree.
    truth_log_weights, generated_log_weights
        :math:`\log w(x|c)` of either sample, in its order: the log of the true over the
        generated conditional density.
    shared
        Share of test events that have one of the other sample at their context.
    contexts
        Names of the context columns.
    n_truth, n_generated, folds, learner
        Sizes, folds of the cross-fit, class of the learner.
    warnings
        What a reader must know.
    """

    auc: float
    null_auc: float
    p_value: PValue
    exact: bool
    context_auc: float
    truth_log_weights: Array
    generated_log_weights: Array
    shared: float
    contexts: tuple[str, ...]
    n_truth: int
    n_generated: int
    folds: int
    learner: str
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return one line: sizes, area beside its null, p-value."""
        return (
            f"ConditionalDiagnosis(n={self.n_truth}+{self.n_generated}, AUC={self.auc:.4f}, "
            f"null {self.null_auc:.4f}, {self.p_value!r})"
        )


def diagnose_conditional(
    run: Run,
    reference: EventsLike,
    generated: EventsLike,
    contexts: Sequence[str],
    *,
    learner: object = None,
    folds: int = 5,
    permutations: int = 1000,
) -> ConditionalDiagnosis:
    r"""Train classifiers on (x, c) and on c alone, and test p(x | c).

    .. math:: w(x|c) = \frac{p_t(x|c)}{p_g(x|c)}
              = \frac{D(x, c)}{1 - D(x, c)} \frac{1 - D(c)}{D(c)} .

    Sample the generator at the truth's own contexts, once or several times each: events of
    equal context are then exchangeable under the null, whatever the contexts' laws, and
    permuting labels among them is exact for any classifier.  Contexts that take few values
    do as well.  Where no contexts are shared the p-value is one of large samples.

    Parameters
    ----------
    run
        Random streams (``"conditional"``), execution and storage of the fits.
    reference, generated
        The samples, contexts among their columns; without weights.
    contexts
        Names of the context columns.
    learner
        A scikit-learn classifier, by default :func:`boosted_trees`.
    folds
        Of the cross-fit of the weights.
    permutations
        Of the test half's labels.

    Raises
    ------
    InputError
        If columns do not match, a context is missing or all are contexts, events have
        weights, a sample has fewer than 40 events, or a number is too small.

    References
    ----------
    Eq. 16 of the source review divides joint densities, for equal laws of c; the second
    factor lifts that.  Exchangeability at equal context: T. B. Berrett et al., J. R. Stat.
    Soc. B 82 (2020) 175.  No test has power against all alternatives when contexts are
    continuous and not shared: R. D. Shah, J. Peters, Ann. Stat. 48 (2020) 1514.
    """
    reference, generated = comparable(reference=reference, generated=generated)
    _check(folds, permutations)
    pool, columns = group_contexts(reference, generated, contexts)
    classifier = check_learner(learner or boosted_trees(), weighted=False)
    at = run.at("conditional")
    joint = Scorer(at, pool, classifier, "conditional")
    alone = Scorer(at, pool.context_pool(columns), classifier, "conditional")
    prior = _prior(alone, folds)
    every, half = joint.cross_fitted(folds), joint.split()
    log_weights = special.logit(every.scores) - special.logit(prior)
    tested, rows = half.scores, half.rows
    ratio = special.logit(tested) - special.logit(_split_prior(alone, rows.size))
    shared = _shared(pool, rows)
    exact = int(shared.sum()) >= _LEAST
    if exact:
        area, null_area, p = _permuted(ratio, pool, rows, at, permutations)
    else:
        area, null_area = auc(ratio, pool.truth[rows], pool.weights[rows]), 0.5
        context = alone.pool.inputs[rows]
        p = covariance_p_value(
            at.seeds.at("covariance"), classifier, context, pool.truth[rows], tested
        )
    return ConditionalDiagnosis(
        auc=area,
        null_auc=null_area,
        p_value=p,
        exact=exact,
        context_auc=auc(prior, pool.truth, pool.weights),
        truth_log_weights=frozen(log_weights[pool.truth]),
        generated_log_weights=frozen(log_weights[~pool.truth]),
        shared=float(shared.mean()),
        contexts=tuple(pool.names[j] for j in columns.tolist()),
        n_truth=pool.n_truth,
        n_generated=pool.n_generated,
        folds=folds,
        learner=title(classifier),
        warnings=(*unfinished_note(half, every), *_warnings(shared, log_weights, exact=exact)),
    )


def _prior(alone: Scorer, folds: int) -> Array:
    """Return the share of true events at each context ``(N,)``: known, or out of fold."""
    share = _known_share(alone)
    if share is None:
        return alone.cross_fitted(folds).scores
    return np.full(alone.pool.truth.size, share)


def _split_prior(alone: Scorer, size: int) -> Array:
    """Return the same on the test half, from the training half alone."""
    share = _known_share(alone)
    return alone.split().scores if share is None else np.full(size, share)


def _known_share(alone: Scorer) -> float | None:
    return alone.pool.share if isinstance(alone.pool, GroupedPool) else None


def _shared(pool: GroupedPool, rows: IntArray) -> BoolArray:
    """Return which test events have a test event of the other sample at their context."""
    groups = pool.groups[rows]
    sides = [np.bincount(groups[side], minlength=groups.max() + 1) for side in _sides(pool, rows)]
    return np.asarray((np.minimum(*sides) > 0)[groups])


def _sides(pool: GroupedPool, rows: IntArray) -> tuple[BoolArray, BoolArray]:
    return pool.truth[rows], ~pool.truth[rows]


def _permuted(
    ratio: Array, pool: GroupedPool, rows: IntArray, run: Run, permutations: int
) -> tuple[float, float, PValue]:
    """Return the area, its mean under permutations within contexts, and the p-value."""
    sums, truth = RankSums.of(ratio, np.ones(rows.size)), pool.truth[rows]
    rng, block = run.seeds.at("permutations").numpy(), max(1, _BLOCK // rows.size)
    toys = np.concatenate(
        [
            sums.areas(
                relabel_groups(truth, pool.groups[rows], min(block, permutations - done), rng)
            )
            for done in range(0, permutations, block)
        ]
    )
    observed = float(sums.areas(truth[None])[0])
    p_value = tied_p_value(toys, observed, "permutations within contexts")
    return observed, float(toys.mean()), p_value


def _warnings(shared: BoolArray, log_weights: Array, *, exact: bool) -> tuple[str, ...]:
    found = []
    if not exact:
        found.append(
            "The samples share no contexts: the p-value is one of large samples and rests on two"
            " regressions on the context. Sample the generator at the truth's contexts instead."
        )
    elif not shared.all():
        found.append(
            f"{int((~shared).sum())} test events have no partner at their context and add nothing"
            " to the test."
        )
    certain = int((~np.isfinite(log_weights)).sum())
    if certain:
        found.append(f"{certain} events have a score of exactly 0 or 1 and no finite weight.")
    return tuple(found)


def _check(folds: int, permutations: int) -> None:
    if folds < 2:
        raise InputError("folds", got=folds, expected="two or more")
    if permutations < 1:
        raise InputError("permutations", got=permutations, expected="one or more")


@dataclass(frozen=True, slots=True, eq=False)
class GroupedPool(ClassifierPool):
    """A pool whose events belong to groups of equal contexts.

    Attributes
    ----------
    groups
        Number of the context of each event ``(N,)``.
    """

    groups: IntArray

    def folds(self, count: int, rng: np.random.Generator) -> IntArray:
        """Return a fold for each event ``(N,)``.

        Groups stay whole, unless both samples have many events in them: a classifier
        that trained on one of a pair would expect the other's label at its context.
        """
        out = rng.permutation(np.arange(self.sizes.shape[0]) % count)[self.groups]
        for group in np.flatnonzero(self.sizes.min(axis=1) >= 4 * count):
            for side in (self.truth, ~self.truth):
                rows = np.flatnonzero((self.groups == group) & side)
                out[rows] = rng.permutation(np.arange(rows.size) % count)
        return np.asarray(out, dtype=np.int64)

    @property
    def sizes(self) -> IntArray:
        """True and generated events of each group ``(G, 2)``."""
        count = int(self.groups.max()) + 1
        sides = (self.groups[self.truth], self.groups[~self.truth])
        return np.stack([np.bincount(side, minlength=count) for side in sides], axis=1)

    @property
    def share(self) -> float | None:
        """Share of true events at every context if it is one number, else None."""
        sizes = self.sizes
        shares = sizes[:, 0] / sizes.sum(axis=1)
        return float(shares[0]) if np.ptp(shares) < 1e-12 and 0.0 < shares[0] < 1.0 else None

    def context_pool(self, columns: IntArray) -> GroupedPool:
        """Return the pool with the given columns only."""
        names = tuple(self.names[j] for j in columns.tolist())
        x = np.ascontiguousarray(self.x[:, columns])
        if self.circled is None:
            return replace(self, x=x, names=names)
        kept = np.isin(self.circled.source, columns)
        around = Circles(self.circled.x[:, kept], self.circled.source[kept], ())
        return replace(self, x=x, names=names, circled=around)


def group_contexts(
    truth: Events, generated: Events, contexts: Sequence[str]
) -> tuple[GroupedPool, IntArray]:
    """Return both samples in one pool with groups of equal contexts, and the contexts' columns.

    Raises
    ------
    InputError
        If features do not match, a context does not exist, no other feature is left, or
        events have weights or groups.
    """
    names = name_list(contexts, "contexts")
    require_columns(names, truth.names, "contexts")
    if len(names) == truth.d:
        raise InputError(
            "contexts", got="all features", expected="at least one feature that is no context"
        )
    for word, events in (("truth", truth), ("generated", generated)):
        if events.weights is not None:
            raise InputError(
                f"{word}.weights", got="weights", expected="none: events are exchanged one by one"
            )
        if events.n_groups < events.n:
            raise InputError(
                f"{word}.group", got="groups", expected="none: events are exchanged one by one"
            )
    pool = pool_of(truth, generated)
    columns = np.array([pool.names.index(name) for name in names], dtype=np.int64)
    _, groups = np.unique(pool.x[:, columns] + 0.0, axis=0, return_inverse=True)
    found = GroupedPool(
        pool.x,
        pool.truth,
        pool.weights,
        pool.weighted,
        pool.names,
        groups.reshape(-1),
        circled=pool.circled,
    )
    return found, columns


def relabel_groups(
    truth: BoolArray, groups: IntArray, count: int, rng: np.random.Generator
) -> BoolArray:
    """Return labels ``(count, n)`` shuffled within groups: each keeps its true events' number."""
    order = np.argsort(groups, kind="stable")
    keys: Array = rng.random((count, truth.size)) + groups[order]
    out = np.empty((count, truth.size), dtype=np.bool_)
    out[:, order] = truth[order][np.argsort(keys, axis=1)]
    return out


_FOLDS = 2


def covariance_p_value(
    seeds: Seeds, learner: Classifier, context: Array, truth: BoolArray, tested: Array
) -> PValue:
    r"""Return the p-value of the generalised covariance measure.

    .. math:: T = \frac{\sqrt n\, \bar R}{s_R}, \qquad
              R_i = \big(y_i - \hat e(c_i)\big)\big(D(x_i, c_i) - \hat m(c_i)\big),

    :math:`\hat e` an estimate of the share of true events at c and :math:`\hat m` of the mean
    score there, each from events other than i.  If :math:`p(x|c)` is one for both samples, T
    is normal in the limit, with an error of the *product* of those of both regressions.

    Parameters
    ----------
    seeds
        Random streams.
    learner
        Of :math:`\hat e`.
    context
        Contexts ``(n, k)`` of events on which D was not trained.
    truth
        Which are true ``(n,)``.
    tested
        Their scores D ``(n,)``.

    References
    ----------
    R. D. Shah, J. Peters, Ann. Stat. 48 (2020) 1514, section 3.
    """
    part = seeds.at("folds").numpy().permutation(np.arange(truth.size) % _FOLDS)
    product = np.empty(truth.size)
    for fold in range(_FOLDS):
        here, rest = part == fold, part != fold
        at = seeds.at("fold", fold)
        share, _ = scores(learner, at, context[rest], truth[rest], None, context[here])
        mean = _mean_score(at, context[rest], tested[rest], context[here])
        product[here] = (truth[here] - share) * (tested[here] - mean)
    spread = float(product.std(ddof=1))
    pull = np.sqrt(truth.size) * float(product.mean()) / spread if spread > 0.0 else -np.inf
    p = float(stats.norm.sf(pull))
    return PValue(p, p, p, "generalised covariance, normal in the limit", 0, 0)


def _mean_score(seeds: Seeds, context: Array, tested: Array, at: Array) -> Array:
    model = HistGradientBoostingRegressor(
        max_iter=60, max_leaf_nodes=8, random_state=seeds.at("mean").integer() % 2**32
    )
    return np.asarray(model.fit(context, tested).predict(at), dtype=np.float64)
