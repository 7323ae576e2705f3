"""Observables as the command line spells them."""

from __future__ import annotations

from collections.abc import Sequence

from verisimile.checks.coverage.observables import BinContent, Moment, Observable, Quantile
from verisimile.core.errors import InputError


def chosen_observables(
    features: Sequence[str],
    *,
    moments: Sequence[str] = (),
    quantiles: Sequence[str] = (),
    bins: Sequence[str] = (),
) -> dict[str, Observable]:
    """Return the observables by the names that tables show; all means if none is chosen.

    Parameters
    ----------
    features
        Names that may be used.
    moments
        ``name`` or ``name:order``.
    quantiles
        ``name:probability``.
    bins
        ``name:low:high``.

    Raises
    ------
    InputError
        If a text has another form or names no feature.

    Examples
    --------
    >>> list(chosen_observables(["pt", "m"], moments=["pt:2"], bins=["m:80:100"]))
    ['mean of pt^2', '80 <= m < 100']
    """
    if not (moments or quantiles or bins):
        return {_mean(name, 1): Moment(name) for name in features}
    found: dict[str, Observable] = {}
    for text in moments:
        name, order = _moment(text, features)
        found[_mean(name, order)] = Moment(name, order)
    for text in quantiles:
        name, (probability,) = _numbers("--quantile", text, features, "name:probability", 1)
        found[f"{probability:g} quantile of {name}"] = Quantile(name, probability)
    for text in bins:
        name, (low, high) = _numbers("--bin", text, features, "name:low:high", 2)
        found[f"{low:g} <= {name} < {high:g}"] = BinContent(name, low, high)
    return found


def _mean(name: str, order: int) -> str:
    return f"mean of {name}" if order == 1 else f"mean of {name}^{order}"


def _moment(text: str, features: Sequence[str]) -> tuple[str, int]:
    if text in features:  # a name may have colons
        return text, 1
    name, (order,) = _numbers("--moment", text, features, "name or name:order", 1)
    if order != int(order):
        raise InputError("--moment", got=repr(text), expected="a whole order")
    return name, int(order)


def _numbers(
    option: str, text: str, features: Sequence[str], form: str, count: int
) -> tuple[str, list[float]]:
    name, *parts = text.rsplit(":", count)
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if name not in features or len(numbers) != count:
        raise InputError(
            option, got=repr(text), expected=f"{form}, with a name of {list(features)}"
        )
    return name, numbers
