"""Numbers as readers see them: few digits, honest limits, never p = 0."""

from __future__ import annotations

import math

from verisimile.core.result import Estimate
from verisimile.stats.pvalues import PValue, Significance

_MINUS = "\N{MINUS SIGN}"
_THIN = "\N{NARROW NO-BREAK SPACE}"


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
    return "< 1e-12" if value < 1e-12 else plain_number(value, digits=3)


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


def interval(low: float, high: float) -> str:
    """Return ``low to high`` (a dash would read as a minus)."""
    return f"{plain_number(low, digits=2)} to {plain_number(high, digits=2)}"
