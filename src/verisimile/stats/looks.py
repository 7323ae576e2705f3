"""One p-value for a search that looks at fresh data until a model passes."""

from __future__ import annotations

from collections.abc import Sequence

from verisimile.core.errors import InputError
from verisimile.stats.pvalues import PValue


def corrected(p_values: Sequence[PValue]) -> PValue:
    r"""Return the p-value of l looks at fresh data, of which the best counted.

    .. math:: c_l = \big(\max_{i \le l} p_i\big)^l

    The largest of l independent p-values of true models has the distribution
    :math:`x^l`, so that :math:`P(c_l \le a) \le a` at a fixed l, with equality
    for continuous p-values.  It holds for a random l too, if the search ends
    at the first look with :math:`c_l > \alpha`, or after L looks: a search
    goes on after look l just if :math:`p_i \le \alpha^{1/i}` for all
    :math:`i \le l`, and with :math:`H_l = 1 + \tfrac12 + \dots + \tfrac1l`

    .. math:: P(c \le a) = a - \sum_{l=2}^{L} \alpha^{H_{l-1}} (1 - a^{1/l})
              \le a \quad (a \ge \alpha), \qquad
              P(c \le a) = a^{1/L} \prod_{l=1}^{L-1} \min(\alpha^{1/l}, a^{1/L})
              \le a \quad (a < \alpha).

    So no look of L passes with probability :math:`\alpha^{H_L}` if all the
    models are true, and with :math:`\prod_l F_l(\alpha^{1/l})` if their
    p-values have distributions :math:`F_l`: a wrong model gets no second
    chance at the old price.

    The guarantee needs looks that are independent: fresh events, fresh toys,
    and weights that are not fitted to the same data.  It is about all models
    together.  If the first ones were wrong, a true model at look l still has
    to exceed :math:`\alpha^{1/l}`; its own p-value is that of its own look.

    Parameters
    ----------
    p_values
        Those of the looks so far, in order.

    Returns
    -------
    PValue
        Its interval is that of the largest p-value, mapped, and its toys are
        those of that look.

    Raises
    ------
    InputError
        If there is no look.

    Examples
    --------
    >>> look = PValue(0.3, 0.28, 0.32, "toys", 500, 0)
    >>> round(corrected([look, look]).value, 3)
    0.09
    """
    if not p_values:
        raise InputError("p-values", got="none", expected="one for each look")
    count = len(p_values)
    best = max(p_values, key=lambda p: p.value)
    return PValue(
        value=best.value**count,
        low=best.low**count,
        high=best.high**count,
        null=f"{best.null}, {count} looks" if count > 1 else best.null,
        n_null=best.n_null,
        n_failed=best.n_failed,
    )
