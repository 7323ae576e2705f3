"""How features are called in tables and text: names with units, and labels without TeX."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from verisimile.data.feature import Feature
from verisimile.report.content import ReportInput

_COMMAND = re.compile(r"\\([A-Za-z]+) ?|\\(.)")
_DRESS = {"mathrm", "mathit", "mathbf", "mathsf", "rm", "text", "left", "right", "operatorname"}
_SYMBOLS = {
    "ell": "ℓ",
    "pm": "±",
    "to": "→",
    "times": "×",
    "cdot": "·",
    "lambda": "λ",
    "prime": "′",
}


def measured(name: str, unit: str | None) -> str:
    """Return the name of a feature with its unit.

    Examples
    --------
    >>> measured("pt", "GeV"), measured("eta", "")
    ('pt [GeV]', 'eta')
    """
    return f"{name} [{unit}]" if unit else name


def stated_units(content: ReportInput, own: Iterable[Feature] = ()) -> dict[str, str]:
    """Return units by the names of features, as a result's own features or the inputs say."""
    units: dict[str, str] = {}
    for feature in (*own, *(one for sample in content.inputs for one in sample.features)):
        if feature.unit:
            units.setdefault(feature.name, feature.unit)
    return units


def plain_label(label: str) -> str:
    r"""Return a label for a table: dollars, braces and commands left out, Greek as letters.

    Examples
    --------
    >>> plain_label(r"$p_T^{ll}$"), plain_label(r"$\Delta\phi(\mu, E_T^{\mathrm{miss}})$")
    ('p_T^ll', 'Δφ(μ, E_T^miss)')
    """
    if "$" not in label:
        return label
    bare = re.sub(r"[${}]", "", _COMMAND.sub(_symbol, label))
    return " ".join(bare.split())


def _symbol(found: re.Match[str]) -> str:
    command, other = found.groups()
    if command is None:
        return " " if other in ",;: " else other
    if command in _DRESS:
        return ""
    size = "CAPITAL" if command[0].isupper() else "SMALL"
    try:
        letter = unicodedata.lookup(f"GREEK {size} LETTER {command.upper()}")
    except KeyError:
        letter = command
    return _SYMBOLS.get(command, letter)
