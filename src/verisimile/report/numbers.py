"""Numbers as readers see them: few digits, honest limits, never p = 0."""

from __future__ import annotations

import math

from verisimile.core.result import Estimate
from verisimile.stats.pvalues import PValue, Significance

_MINUS = "\N{MINUS SIGN}"
_THIN = "\N{NARROW NO-BREAK SPACE}"
_HALF = 0.5  # p-value of Z = 0
_SMALLEST = 1e-12  # p-values of closed forms below it mean nothing


def plain_number(value: float, *, digits: int = 4) -> str:
    """Return `value` with significant digits; what is not finite is shown as such.

    Examples
    --------
    >>> plain_number(0.00012345), plain_number(float("nan")), plain_number(float("inf"))
    ('0.0001234', 'NaN', '∞')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    return f"{value:.{digits}g}".replace("-", _MINUS)


def rough(value: float) -> str:
    """Return `value` with two significant digits, written out up to a million.

    Examples
    --------
    >>> rough(0.0346), rough(2.5e9), rough(float("inf"))
    ('0.035', '2.5e+09', '∞')
    >>> rough(34567.0).split()
    ['35', '000']
    """
    if 99.5 <= abs(value) < 1e6:
        return count(float(f"{value:.2g}"))
    return plain_number(value, digits=2)


def count(value: float) -> str:
    """Return a whole number in groups of three digits, parted by narrow spaces.

    Examples
    --------
    >>> count(24000).split()
    ['24', '000']
    """
    return f"{round(value):,}".replace(",", _THIN).replace("-", _MINUS)


def fixed(value: float, *, places: int = 2) -> str:
    """Return `value` with a fixed number of decimals."""
    if not math.isfinite(value):
        return plain_number(value)
    return f"{value:.{places}f}".replace("-", _MINUS)


def signed(z: float) -> str:
    """Return a difference over its error, with its sign and one decimal.

    Examples
    --------
    >>> signed(4.26), signed(-0.01)
    ('+4.3', '+0.0')
    """
    # Adding zero makes a positive one of what rounds to a negative one.
    return f"{round(z, 1) + 0.0:+.1f}".replace("-", _MINUS)


def percent(value: float) -> str:
    """Return a fraction in per cent, with one digit below ten."""
    share = 100.0 * value
    digits = f"{share:.0f}" if abs(share) >= 10.0 or share == 0.0 else f"{share:.2g}"
    return f"{digits}{_THIN}%".replace("-", _MINUS)


def duration(seconds: float) -> str:
    """Return a wall-clock time.

    Examples
    --------
    >>> duration(0.042), duration(75.3), duration(7322.0)
    ('0.04 s', '1 min 15 s', '2 h 2 min')
    """
    if not math.isfinite(seconds):
        return plain_number(seconds)
    if seconds < 60.0:
        return f"{seconds:.2f} s" if seconds < 10.0 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def value_and_error(value: float, error: float) -> str:
    """Return ``value ± error``, rounded to two digits of the error."""
    if not (math.isfinite(value) and math.isfinite(error) and error > 0.0):
        return f"{plain_number(value)} ± {plain_number(error, digits=2)}"
    places = max(0, 1 - math.floor(math.log10(error)))
    if places > 6:
        return f"{plain_number(value, digits=3)} ± {plain_number(error, digits=2)}"
    return f"{value:.{places}f} ± {error:.{places}f}".replace("-", _MINUS)


def estimate(found: Estimate) -> str:
    """Return ``value ± error`` of an estimate."""
    return value_and_error(found.value, found.error)


def shown(value: object) -> str:
    """Return a field of a result as a table shows it, by its type.

    Examples
    --------
    >>> shown(True), shown("min-p"), shown(12), shown(0.25), shown((0.1, 0.2))
    ('yes', 'min-p', '12', '0.25', '0.1 to 0.2')
    """
    if isinstance(value, PValue):
        return f"{p_value(value)} ({p_interval(value)})" if value.n_null else small_p(value.value)
    if isinstance(value, Estimate):
        return estimate(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return plain_number(value)
    if isinstance(value, tuple):
        return interval(*value)
    return str(value)


def p_value(p: PValue) -> str:
    """Return the p-value; an upper limit where it would read as zero."""
    return (
        f"< {plain_number(p.high, digits=2)}" if p.value <= 0.0 else plain_number(p.value, digits=3)
    )


def small_p(value: float) -> str:
    """Return a p-value of a closed form; digits of what is out of reach mean nothing.

    Examples
    --------
    >>> small_p(0.0123), small_p(1e-300)
    ('0.0123', '< 1e-12')
    """
    return "< 1e-12" if value < _SMALLEST else plain_number(value, digits=3)


def z_value(p: PValue) -> str:
    """Return Z of a p-value, a lower bound where p is the least that its draws can give.

    Rounded down where it is a bound: Z of the smallest p is claimed and never more.

    Examples
    --------
    >>> z_value(PValue(0.001, 0.0, 0.0018, "toys", 999, 0)), z_value(PValue.exact(0.0013))
    ('> 3.09', '3.01')
    """
    if math.isnan(p.value):
        return plain_number(p.value)
    if not p.n_null:
        # A closed form goes on where nobody can know its tail.
        return _more(_SMALLEST) if p.value < _SMALLEST else _fixed_z(p.value)
    return _more(p.value or p.high) if p.low <= 0.0 else _fixed_z(p.value)


def p_and_z(p: PValue) -> str:
    """Return p and Z for a sentence; a Z below zero says nothing and is left out.

    Examples
    --------
    >>> p_and_z(PValue(0.001, 0.0, 0.0018, "toys", 999, 0))
    'p = 0.001, Z > 3.09'
    >>> p_and_z(PValue.exact(0.7))
    'p = 0.7'
    """
    return f"{p_words(p)}, {z_words(p)}" if p.value < _HALF else p_words(p)


def z_words(p: PValue) -> str:
    """Return Z for a sentence: equal to a number, or more than a bound."""
    return _related("Z", z_value(p))


def p_words(p: PValue) -> str:
    """Return p for a sentence: equal to a number, or less than a bound."""
    return _related("p", p_value(p) if p.n_null else small_p(p.value))


def _related(name: str, text: str) -> str:
    return f"{name} {text}" if text[:1] in "<>" else f"{name} = {text}"


def _z_of(p: float) -> float:
    return PValue.exact(p).significance.value


def _fixed_z(p: float) -> str:
    return fixed(round(_z_of(p), 2) + 0.0)  # no negative zero


def _more(p: float) -> str:
    z = _z_of(p)
    bound = fixed(math.floor(100.0 * z) / 100.0 + 0.0) if math.isfinite(z) else plain_number(z)
    return f"> {bound}"


def p_interval(p: PValue) -> str:
    """Return the Monte-Carlo interval of the p-value; one-sided where it reaches zero."""
    if p.low <= 0.0:
        return f"below {plain_number(p.high, digits=2)}"
    return interval(p.low, p.high)


def z_interval(z: Significance) -> str:
    """Return the interval of the significance; one-sided where the toys give only one side."""
    if z.high == math.inf and math.isfinite(z.low):
        return f"above {fixed(z.low)}"
    if z.low == -math.inf and math.isfinite(z.high):
        return f"below {fixed(z.high)}"
    return f"{fixed(z.low)} to {fixed(z.high)}"


def z_bound(z: Significance) -> str:
    """Return the significance; where no toy was as extreme, as the lower bound that it is.

    Examples
    --------
    >>> z_bound(Significance(1.8, 1.7, 1.9)), z_bound(Significance(3.1, 2.9, math.inf))
    ('1.80', '> 2.90')
    """
    return f"> {fixed(z.low)}" if z.high == math.inf else fixed(z.value)


def span(low: float, high: float) -> str:
    """Return the ends of an interval, with as many digits as it takes to tell them apart.

    Examples
    --------
    >>> span(3.03, 11.61), span(89.7013, 89.7021)
    ('3.03 to 11.6', '89.7013 to 89.7021')
    """
    for digits in range(3, 9):
        ends = plain_number(low, digits=digits), plain_number(high, digits=digits)
        # A tenth of the width is what an end is rounded by at most.
        if digits == 8 or (high - low) >= 10.0 ** (1 - digits) * max(abs(low), abs(high)):
            break
    return " to ".join(ends)


def interval(low: float, high: float) -> str:
    """Return ``low to high`` (a dash would read as a minus)."""
    return f"{plain_number(low, digits=2)} to {plain_number(high, digits=2)}"
