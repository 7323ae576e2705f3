"""The text of an expression: as it is written, as it is parsed, and an arrow into it for faults."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass

from verisimile.core.errors import InputError, require
from verisimile.data.spellings import respelled

_LONGEST = 2000  # characters
_HINTS = (
    ("?", "Write where(condition, a, b)."),
    ("=", "Write == for equal."),
)


@dataclass(frozen=True, slots=True)
class Wording:
    """An expression on one line, and the same in Python's words.

    Attributes
    ----------
    line
        As it is written.
    python
        As it is parsed.
    places
        Where each character of `python` stands in `line`.
    """

    line: str
    python: str
    places: tuple[int, ...]

    def parsed(self) -> ast.expr:
        """Return the syntax tree, of which nothing is checked; a caret shows what has none."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a tokenizer's advice on how to write Python
                return ast.parse(self.python, mode="eval").body
        except SyntaxError as error:
            position = max(0, min((error.offset or 1) - 1, len(self.python)))
            hint = next((text for mark, text in _HINTS if mark in self.line), "")
            raise self._pointing(position, f"{error.msg}", "an expression", hint) from None
        except (ValueError, RecursionError, MemoryError):
            raise InputError(
                f"expression {_short(self.line)}",
                got="text that cannot be read or is nested too deeply",
                expected="an expression",
            ) from None

    def fault(self, node: ast.expr, got: str, expected: str, remedy: str = "") -> InputError:
        """Return the error that points at a node."""
        return self._pointing(self._position(node.col_offset), got, expected, remedy)

    def text(self, node: ast.expr) -> str:
        """Return a node as it is written."""
        end = self._position(node.end_col_offset or 0)
        first = self.places[self._position(node.col_offset)]
        return self.line[first : self.places[end - 1] + 1].strip()

    def described(self, node: ast.expr) -> str:
        """Return what a node is, for messages."""
        return f"{type(node).__name__.lower()} {_short(self.text(node))}"

    def _position(self, offset: int) -> int:
        """Return the character at an offset, which Python counts in bytes."""
        return len(self.python.encode()[:offset].decode(errors="ignore"))

    def _pointing(self, position: int, got: str, expected: str, remedy: str) -> InputError:
        place = self.places[min(position, len(self.places) - 1)]
        # Long lines are cut around the position, so that the caret stays in view.
        start = max(0, place - 60)
        mark = f"\n    {self.line[start : start + 100]}\n    {' ' * (place - start)}^"
        return InputError(
            f"expression {_short(self.line)}",
            got=f"{got} at position {place + 1}",
            expected=expected,
            remedy=f"{remedy}{mark}",
        )


def wording_of(text: str) -> Wording:
    """Return a text on one line, whatever line breaks and spaces it has."""
    is_text = isinstance(text, str)
    require(is_text, "expression", got=repr(text), expected="text such as 'hypot(px, py)'")
    line = " ".join(text.split())
    fits, got = 0 < len(line) <= _LONGEST, f"{len(line)} characters"
    require(fits, "expression", got=got, expected=f"1 to {_LONGEST} characters")
    return Wording(line, *respelled(line))


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")
