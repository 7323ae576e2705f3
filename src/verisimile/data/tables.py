"""What is asked of a table, or of an array with missing values, as one call says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from verisimile.data.checked import ignored, numbered
from verisimile.data.feature import Feature
from verisimile.data.held import given_array, plain_array
from verisimile.data.request import Missing, ReadTable, Request
from verisimile.data.source import with_columns
from verisimile.data.sources import opened


def table_of(
    values: object,
    weights: object,
    specs: tuple[Feature, ...] | None,
    group: object,
    ignore: Sequence[str],
    missing: Missing,
) -> ReadTable:
    """Return the columns of a table, or of a matrix with missing values, that are asked for."""
    names = None if specs is None else tuple(spec.name for spec in specs)
    if names is None and isinstance(values, np.ndarray) and values.ndim == 2:
        names = numbered(values.shape[1])
    asked = Request(
        names,
        weights if isinstance(weights, str) else None,
        # A bare name leaves what the source itself says of the column.
        {spec.name: spec for spec in specs or () if spec != Feature(spec.name)},
        group if isinstance(group, str) else None,
        ignored(ignore),
        missing,
    )
    # Arrays of weights and labels stand beside the columns, so that a dropped row takes them along.
    beside = {
        role: as_array(given, f"events.{role}")
        for role, given, as_array in (
            ("weights", weights, plain_array),
            ("group", group, given_array),
        )
        if given is not None and not isinstance(given, str)
    }
    claimed = replace(
        asked,
        weights="(weights)" if "weights" in beside else asked.weights,
        group="(group)" if "group" in beside else asked.group,
    )
    with opened(values, asked) as source:
        arrays = {f"({role})": given for role, given in beside.items()}
        return claimed.table(with_columns(source, arrays))
