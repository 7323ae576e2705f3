"""How ROOT and C++ spell what expressions say: ``&&``, ``^``, ``TMath::Abs``, ``Sum$``."""

from __future__ import annotations

import math
import re

_TMATH = {
    "abs": "abs", "sqrt": "sqrt", "exp": "exp", "log": "log", "log10": "log10", "sin": "sin",
    "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "floor": "floor", "ceil": "ceil", "atan2": "arctan2",
    "hypot": "hypot", "power": "pow", "min": "min", "max": "max",
}  # fmt: skip
_CONSTANTS = {
    "pi": "pi",
    "twopi": "(2*pi)",
    "piover2": "(pi/2)",
    "degtorad": "(pi/180)",
    "radtodeg": "(180/pi)",
    "e": repr(math.e),
}
_SPECIAL = {"Sum$": "sum", "Length$": "count", "Max$": "max", "Min$": "min", "Alt$": "otherwise"}
_MARKS = {"&&": " and ", "||": " or ", "!": "~", "^": "**"}
_SPELLING = re.compile(
    r"TMath::(?P<constant>\w+)\s*\(\s*\)|TMath::(?P<function>\w+)|(?P<prefix>\bstd::)"
    r"|\bM_(?P<number>PI)\b|(?P<special>\b(?:Sum|Length|Max|Min|Alt)\$)"
    r"|(?P<mark>&&|\|\||!(?!=)|\^)"
)


def respelled(line: str) -> tuple[str, tuple[int, ...]]:
    """Return a line in Python's words, and where each of its characters stood before.

    ``^`` is a power as in ROOT's formulas, not the exclusive or of C++.  What is not known is
    left as it is, for the parser to point at.

    Examples
    --------
    >>> respelled("!a || TMath::Abs(x^2) > 1")[0]
    '~a  or  abs(x**2) > 1'
    """
    parts: list[str] = []
    places: list[int] = []
    end = 0
    for match in _SPELLING.finditer(line):
        parts.append(line[end : match.start()])
        places += range(end, match.start())
        word = _word(match)
        parts.append(word)
        places += [match.start()] * len(word)
        end = match.end()
    parts.append(line[end:])
    places += range(end, len(line) + 1)
    return "".join(parts), tuple(places)


def _word(match: re.Match[str]) -> str:
    found = match.groupdict()
    if found["mark"]:
        return _MARKS[found["mark"]]
    if found["special"]:
        return _SPECIAL[found["special"]]
    if found["prefix"]:
        return ""
    if found["function"]:
        return _TMATH.get(found["function"].lower(), match.group())
    return _CONSTANTS.get((found["constant"] or found["number"]).lower(), match.group())
