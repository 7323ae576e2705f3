"""Columns that a source does not hold and that are computed from those it holds, when loaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from verisimile.core.errors import InputError, require
from verisimile.data.cut import CUT
from verisimile.data.expressions import Condition, Expression
from verisimile.data.feature import Feature, suggestion
from verisimile.data.formats.file import optional
from verisimile.data.formulas import Formula
from verisimile.data.lists import Lists, as_doubles, is_flags, is_list
from verisimile.data.numbers import as_numbers
from verisimile.data.request import Request
from verisimile.data.source import Column, Source, Values

_BRACKETS = re.compile(r"[(\[]")
_MARKS = re.compile(r"[()\[\]+\-*/<>&|!^%=]")


def with_computed(source: Source, request: Request) -> Source:
    """Return a source with what is asked for and is an expression over its columns.

    A column whose name is such a text is itself.  Lists of numbers are read by expressions only.
    """
    # Labels of groups are no numbers: computed ones could be equal by rounding.
    texts = [name for name in request.asked if name not in (CUT, request.group)]
    found = {name: _formula(name, source.columns) for name in texts}
    formulas: dict[str, Formula] = {name: each for name, each in found.items() if each}
    if request.cut is not None:
        formulas[CUT] = Condition(request.cut)
    if not formulas:
        return source
    inputs = {name: each.inputs(source.columns) for name, each in formulas.items()}
    columns = {
        name: _column(formulas[name], [source.columns[column] for column in read.values()])
        for name, read in inputs.items()
    }

    def load(names: Sequence[str]) -> Iterator[Values]:
        plain = source.load([name for name in names if name not in formulas])
        uses = Counter(c for name in names for c in set(inputs.get(name, {}).values()))
        held: dict[str, Lists] = {}
        for name in names:
            if name not in formulas:
                yield next(plain)
                continue
            read = inputs[name]
            for column in sorted(set(read.values()) - set(held)):
                (values,) = source.load([column])
                held[column] = _operand(column, values)
            formula, n = formulas[name], len(held[next(iter(read.values()))])
            given = {key: held[column] for key, column in read.items()}
            yield formula.values(given, n, truth=formula.conditional)
            uses.subtract(set(read.values()))
            held = {column: values for column, values in held.items() if uses[column] > 0}

    specs = {name: _spec(name, each) for name, each in formulas.items() if "$" in name}
    return replace(
        source, columns={**source.columns, **columns}, load=load, specs={**source.specs, **specs}
    )


def _formula(name: str, columns: Collection[str]) -> Formula | None:
    """Return the expression that a name is; None for a column, and for a column misspelled."""
    if name in columns or not _MARKS.search(name):
        return None
    try:
        formula = Expression(name)
        formula.inputs(columns)
    except InputError:
        if not _BRACKETS.search(name) and suggestion(name, columns):
            return None
        raise
    return formula


def _column(formula: Formula, read: Sequence[Column]) -> Column:
    """Return what is computed; columns that hold no numbers, nor lists of them, are refused."""
    require(read, formula.text, got="an expression without a column", expected="columns in it")
    for name, column in zip(formula.names, read, strict=False):
        usable = column.lists or column.content in ("numbers", "cells")
        require(
            usable,
            f"expression {formula.text!r}",
            got=f"{name} with {column.about}",
            expected="numbers, or lists of numbers",
        )
    return Column(rows=read[0].rows, refused=next((c.refused for c in read if c.refused), ""))


def _operand(name: str, values: Lists) -> Lists:
    """Return a column as numbers per event, NaN where there is none, or as lists."""
    if not is_list(values) and (values.ndim == 1 or values.shape[1:] == (1,)):
        return as_numbers(name, values)[0]
    awkward = optional("awkward")
    if not is_list(values):
        values = awkward.from_numpy(values)
    # Of regular lists the lengths would be matched to those of the sample.
    for axis in range(1, values.ndim):
        values = awkward.from_regular(values, axis=axis)
    if is_flags(values):
        return values
    as_numbers(name, np.ma.asarray(awkward.to_numpy(awkward.flatten(values, axis=None))))
    return as_doubles(values)


def _spec(name: str, formula: Formula) -> Feature:
    """Return the feature whose label has no dollars, which figures take for mathematics."""
    return Feature(name, label=formula.plain)
