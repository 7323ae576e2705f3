"""Rules that say at which exchange rates an event is called generated, and their error rates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from verisimile.checks.precision_recall.area import area_slopes, curve_area
from verisimile.checks.precision_recall.envelope import cosine
from verisimile.core.arrays import Array

_ALWAYS = math.pi  # beyond the grid: called generated at every angle
_HALF = 0.5  # an event more of each kind, so that no block of scores is certain


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    r"""A step function of a score: the angle below which an event is called generated.

    Attributes
    ----------
    values
        Upper end of each step ``(v,)``, ascending.
    turns
        :math:`\arctan(\hat q / \hat p)` on it ``(v,)``, not ascending.
    """

    values: Array
    turns: Array

    def __call__(self, scores: Array) -> Array:
        """Return the angle of each score ``(n,)``; minus infinity is generated at all angles."""
        at = np.minimum(np.searchsorted(self.values, scores), len(self.values) - 1)
        return np.where(np.isneginf(scores), _ALWAYS, self.turns[at])


def learned_rule(true: Array, fake: Array) -> Rule:
    r"""Return the rule of scores ``(n,)`` and ``(m,)``, larger for events more like the truth.

    The isotonic regression of the labels gives blocks with :math:`t_b` true and :math:`f_b`
    generated events; an event of block b is called generated where :math:`\tan\theta` is below

    .. math:: \frac{\hat q_b}{\hat p_b} = \frac{(f_b + \frac12) / (m + \frac12)}
              {(t_b + \frac12) / (n + \frac12)} .
    """
    values, place = np.unique(np.concatenate([true, fake]), return_inverse=True)
    n, m = true.size, fake.size
    of_true = np.bincount(place[:n], minlength=values.size)
    of_fake = np.bincount(place[n:], minlength=values.size)
    mass = of_true / n + of_fake / m
    share = isotonic_regression(of_true / n / mass, weights=mass).x
    last = np.flatnonzero(np.append(np.diff(share) > 1e-12, True))
    first = np.append(0, last[:-1] + 1)
    turns = np.arctan2(
        (np.add.reduceat(of_fake, first) + _HALF) / (m + _HALF),
        (np.add.reduceat(of_true, first) + _HALF) / (n + _HALF),
    )
    # The half events can turn the order of two small blocks.
    return Rule(values[last], np.minimum.accumulate(turns))


def exact_turns(log_ratio: Array) -> Array:
    r"""Return :math:`\arctan(q / p)` of :math:`\log p - \log q` ``(n,)``: no rule to learn."""
    with np.errstate(over="ignore"):
        turns = np.arctan(np.exp(-log_ratio))
    return np.where(np.isneginf(log_ratio), _ALWAYS, turns)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """A curve of events that did not shape the rule.

    Attributes
    ----------
    radii
        Distances from the origin ``(L,)``.
    area
        Below the curve.
    true, fake
        What each event adds to the area, to first order, ``(n,)`` and ``(m,)``.
    """

    radii: Array
    area: float
    true: Array
    fake: Array


def held_out(true: Array, fake: Array, theta: Array) -> HeldOut:
    r"""Return the curve of turning angles :math:`\phi` of true and generated events.

    .. math:: R(\theta) = \frac{\overline{[\theta < \phi_i]}_\mathrm{true}}{\cos\theta}
              + \frac{\overline{[\theta \ge \phi_j]}_\mathrm{generated}}{\sin\theta}

    Each rate is a mean over events, and its expectation that of a test which these events did not
    shape: at every angle at least the true curve's.
    """
    size = theta.size
    at_true, at_fake = (np.searchsorted(theta, turns, side="left") for turns in (true, fake))
    fpr = 1.0 - np.cumsum(np.bincount(at_true, minlength=size + 1))[:size] / true.size
    fnr = np.cumsum(np.bincount(at_fake, minlength=size + 1))[:size] / fake.size
    right, left = (_inverse(scale) for scale in (cosine(theta), np.sin(theta)))
    radii = fpr * right + fnr * left
    # An error that no exchange rate pays for: there the test that calls all alike is better.
    radii[0], radii[-1] = (1.0 if fnr[0] > 0.0 else fpr[0]), (1.0 if fpr[-1] > 0.0 else fnr[-1])
    slopes = area_slopes(radii, theta)
    of_true = np.append(0.0, np.cumsum(slopes * right))
    of_fake = np.append(np.cumsum((slopes * left)[::-1])[::-1], 0.0)
    return HeldOut(radii, float(curve_area(radii, theta)), of_true[at_true], of_fake[at_fake])


def _inverse(scale: Array) -> Array:
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0.0)
