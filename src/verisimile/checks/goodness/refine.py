"""Improve a model until it passes, each time on fresh events, with the looks counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.checks.goodness.null import Calibration, Predictive
from verisimile.checks.goodness.result import Goodness
from verisimile.checks.goodness.search import Alternative
from verisimile.checks.goodness.toys import Sequential
from verisimile.core.errors import require
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.inputs import EventsLike, as_events
from verisimile.mixture.model import Mixture
from verisimile.samples.copies import values_repeat
from verisimile.stats.aggregate import correct_looks
from verisimile.stats.pvalues import PValue


@dataclass(frozen=True, slots=True)
class Look:
    """Settings of the test that every look makes.

    Attributes
    ----------
    alternative, hypothesis, null, toys
        As for :func:`~verisimile.checks.goodness.likelihood_ratio.goodness_of_fit`.
    """

    alternative: Alternative | Sequence[Alternative] | None = None
    hypothesis: str = "ensemble+uncertainty"
    null: Calibration = Predictive()
    toys: int | Sequential = 1000


@register("refinement", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Refinement(Result):
    """A search for a model that passes.

    Attributes
    ----------
    looks
        The test of every model that was looked at, on its own fresh events;
        their p-values are not corrected.
    planned
        The looks that were allowed, and for which events were kept.
    level
        What the corrected p-value had to exceed.
    p_value
        Corrected for the looks: see :func:`~verisimile.stats.aggregate.correct_looks`.
    """

    looks: tuple[Goodness, ...]
    planned: int
    level: float
    p_value: PValue
    listed: ClassVar[tuple[str, ...]] = ("looks",)

    def __repr__(self) -> str:
        """Return one line: the verdict, the looks, and the p-value."""
        word = "passed" if self.passed else "not passed"
        return (
            f"Refinement({word} at look {len(self.looks)} of {self.planned}, "
            f"level {self.level:g}, corrected {self.p_value!r})"
        )

    @property
    def passed(self) -> bool:
        """Whether the last model that was looked at passes."""
        return self.p_value.value > self.level


def refine(
    run: Run,
    grow: Callable[[int], Mixture],
    events: EventsLike,
    *,
    looks: int,
    level: float = 0.05,
    look: Look = Look(),
) -> Refinement:
    r"""Test better and better models on fresh events until one passes.

    The events are split at random into `looks` disjoint parts.  Look l tests
    ``grow(l)`` on part l, and the search ends at the first look with

    .. math:: c_l = \big(\max_{i \le l} p_i\big)^l > \alpha .

    If the models of all looks are true, :math:`P(c \le a) \le a` for every a,
    whatever look the search ends at; a wrong model has to exceed
    :math:`\alpha^{1/l}` at look l, so that trying often does not help it.
    Both need independent looks: let ``grow(l)`` fit its weights to data of its
    own, not to the data of an earlier look.  It may learn from earlier parts
    and from their tests, never from later ones.

    Parameters
    ----------
    run
        Random streams, execution and storage; each look has its own streams.
    grow
        Returns the model of look 1, 2, ...: for example with more members.
    events, looks
        Unweighted test sample, and L, the most looks: each gets a part of n / L.
    level, look
        alpha, and the settings of each test.

    Raises
    ------
    InputError
        If there are fewer than one look or event for each, the level is not in
        (0, 1), or the parts share events.

    References
    ----------
    G. Badaracco et al., sec. 2 (last paragraph: recursive use).

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> from scipy import stats
    >>> members = [vs.adapt(stats.norm(mean)) for mean in (-0.5, 0.5)]
    >>> x = np.random.default_rng(1).normal(size=(400, 1))
    >>> fit = vs.fit_weights(np.column_stack([each.log_prob(x) for each in members]))
    >>> mixture = vs.Mixture(members, fit)
    >>> run = vs.Run(vs.Seeds(1))
    >>> look = vs.goodness.Look(alternative=vs.GaussianKernels(count=5), toys=19)
    >>> test = np.random.default_rng(2).normal(size=(400, 1))
    >>> found = vs.refine(run, lambda look: mixture, test, looks=2, look=look)
    >>> found.looks[0].p_value.n_null
    19
    """
    events = as_events(events, "events")
    parts = _parts(run, events, looks, level)
    found: list[Goodness] = []
    test = partial(
        goodness_of_fit,
        alternative=look.alternative,
        hypothesis=look.hypothesis,
        null=look.null,
        toys=look.toys,
    )
    for number, part in enumerate(parts, start=1):
        found.append(test(run.at("look", number), grow(number), part))
        p_value = correct_looks([tested.p_value for tested in found])
        if p_value.value > level:
            break
    return Refinement(tuple(found), looks, level, p_value)


def _parts(run: Run, events: Events, looks: int, level: float) -> tuple[Events, ...]:
    require(
        1 <= looks <= events.n and 0.0 < level < 1.0,
        "refine",
        got=f"looks = {looks}, level = {level}, {events.n} events",
        expected="at least one look, as many events, and a level in (0, 1)",
    )
    parts = events.split([1.0 / looks] * looks, run.seeds.at("looks"))
    shared = sum(part.overlap(other) for i, part in enumerate(parts) for other in parts[:i])
    require(
        not shared or values_repeat(events),
        "events",
        got=f"{shared} events that occur in several looks",
        expected="every event once",
        remedy="Remove duplicates: a look at events seen before is no fresh look.",
    )
    return parts
