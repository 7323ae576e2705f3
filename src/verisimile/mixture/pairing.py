r"""Negative weights paid pair by pair: most proposals of a signed mixture need two members.

A signed mixture is a sum of pairs of a positive and a negative member,

.. math:: \hat f = \sum_i w_i f_i = \sum_p h_p, \qquad h_p = v_p f_{j_p} - d_p f_{k_p}, \qquad
          \sum_{p: j_p = j} v_p = w_j, \quad \sum_{p: k_p = k} d_p = |w_k|

with :math:`d_p / v_p = W_- / W_+` in all of them.  Members resemble each other, so that a pair is
seldom negative where the whole is positive:

.. math:: \max(0, \hat f) \le g = \sum_p \max(0, h_p) \le \sum_{w_i > 0} w_i f_i

Draws of :math:`f_{j_p}`, p in proportion to :math:`v_p`, kept with probability
:math:`\max(0, h_p) / (v_p f_{j_p})`, have density :math:`g / \int g`; of these,
:math:`\max(0, \hat f) / g` are kept.  The first step looks at two members, only the second at all,
and what it throws away is :math:`\int g - 1`, the negative mass of the pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array, IntArray
from verisimile.mixture.objective import blocks

_DUST = 1e-12  # of the positive weights: a pair that only rounding has made


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """The pairs of a signed mixture, Q < M of them.

    Attributes
    ----------
    weights
        Of the members ``(M,)``.
    owners, partners
        Numbers of the positive and of the negative member of each pair ``(Q,)``.
    masses, debts
        v and d ``(Q,)``; a debt of zero has no partner that counts.
    """

    weights: Array
    owners: IntArray
    partners: IntArray
    masses: Array
    debts: Array

    @classmethod
    def of(cls, weights: Array) -> Pairing:
        """Return the pairs of weights ``(M,)``.

        Their owners stand alone, with nothing to pay, where that is cheaper: for few members
        or small negative weights.
        """
        positive, negative = np.clip(weights, 0.0, None), np.clip(-weights, 0.0, None)
        total, owed = float(positive.sum()), float(negative.sum())
        # Both steps: two members at each proposal, and all at what is left, about one in W+.
        if not owed or 2.0 * total + weights.size >= total * weights.size:
            return cls.apart(weights)
        # The ends of all shares on one line, on which both signs are dealt out in order.
        credit, debit = np.cumsum(positive) * (owed / total), np.cumsum(negative)
        ends = np.unique(np.concatenate([credit, debit]))
        starts = np.concatenate([[0.0], ends[:-1]])
        kept = ends - starts > _DUST * owed
        middle, lengths = 0.5 * (starts + ends)[kept], (ends - starts)[kept]
        last = weights.size - 1
        return cls(
            weights,
            np.minimum(np.searchsorted(credit, middle), last),
            np.minimum(np.searchsorted(debit, middle), last),
            lengths * (total / owed),
            lengths,
        )

    @classmethod
    def apart(cls, weights: Array) -> Pairing:
        """Return the positive members without partners: g is the positive part."""
        owners = np.flatnonzero(weights > 0.0)
        return cls(weights, owners, owners, weights[owners], np.zeros(owners.size))

    @property
    def total(self) -> float:
        """Sum of the positive weights, W+."""
        return float(self.masses.sum())

    @property
    def pays(self) -> bool:
        """Whether any pair has a partner."""
        return bool(self.debts.any())

    @property
    def shares(self) -> Array:
        """How often each pair proposes ``(Q,)``, sum one."""
        return np.asarray(self.masses / self.masses.sum())

    def kept(self, pairs: IntArray, own: Array, other: Array) -> Array:
        """Return max(0, h) / (v f) of proposals ``(n,)`` by `pairs`, NaN where f is no density.

        `own` and `other` are the log-densities of owner and partner ``(n,)``.
        """
        debt = (self.debts / self.masses)[pairs]
        out = np.full(own.size, np.nan)
        defined = own > -np.inf
        with np.errstate(over="ignore"):
            out[defined] = 1.0 - debt[defined] * np.exp((other - own)[defined])
        return np.asarray(np.maximum(out, 0.0))

    def ratio(self, logf: Array) -> Array:
        """Return f / g at log-densities ``(n, M)``, NaN where no member has a density."""
        out = np.full(logf.shape[0], np.nan)
        parts = np.zeros((self.weights.size, self.masses.size))
        parts[self.owners, np.arange(self.masses.size)] = self.masses
        parts[self.partners, np.arange(self.masses.size)] -= self.debts
        if not self.pays:  # all parts are positive
            parts = parts.sum(axis=1, keepdims=True)
        across = np.column_stack([self.weights, parts])
        for rows in blocks(out.size):
            top = logf[rows].max(axis=1)
            possible = top > -np.inf
            density = logf[rows] - np.where(possible, top, 0.0)[:, None]
            seen = np.exp(density, out=density) @ across
            mixed, bound = seen[:, 0], seen[:, 1:]
            bound = np.clip(bound, 0.0, None).sum(axis=1) if self.pays else bound[:, 0]
            # Nothing is left of the pairs by rounding alone, of a proposal next to nothing.
            out[rows][possible] = 0.0
            np.divide(mixed, bound, out=out[rows], where=possible & (bound > 0.0))
        return out
