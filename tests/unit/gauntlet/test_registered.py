"""Every public name that gives p-values or intervals runs the gauntlet, or says why not."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pytest

import verisimile as vs
from gauntlet import names
from gauntlet.pairs import PAIRS, Pair
from gauntlet.registry import all_benches
from public_names import public
from verisimile.core.random import Seeds
from verisimile.validation.study import CLASSIFIER, NAMES


def _covered() -> set[str]:
    return {name for each in all_benches().values() for name in each.covers}


def _results() -> set[str]:
    """Return the result classes with a p-value or an interval among their fields."""
    found = set()
    for module in pkgutil.walk_packages(vs.__path__, "verisimile."):
        if module.name.split(".")[1] in ("report", "app"):
            continue
        for name, kind in vars(import_module(module.name)).items():
            if inspect.isclass(kind) and kind.__module__ == module.name and _claims(kind):
                found.add(name)
    return found


def _claims(kind: type) -> bool:
    if not dataclasses.is_dataclass(kind) or kind.__name__.startswith("_"):
        return False
    return any(
        "PValue" in str(field.type) or field.name in names.FIELDS
        for field in dataclasses.fields(kind)
    )


def test_every_public_name_is_registered_or_excused() -> None:
    known = _covered() | set(names.EXCUSED)
    assert sorted(set(public()) - known) == []


def test_every_result_with_a_p_value_is_registered_or_excused() -> None:
    assert sorted(_results() - _covered() - set(names.EXCUSED)) == []


def test_nothing_is_both_registered_and_excused() -> None:
    assert sorted(_covered() & set(names.EXCUSED)) == []
    assert all(names.EXCUSED.values())


def test_every_statistic_of_the_catalogue_takes_part() -> None:
    battery = all_benches()["battery"]
    pair = Pair((40, 50))
    subjects = set(battery.experiment(pair, Seeds(1).at("catalogue")))
    assert set(NAMES) - {CLASSIFIER} <= subjects


def test_every_family_has_a_defective_twin() -> None:
    defects = [each.defect for each in all_benches().values() if each.defect]
    assert len(defects) >= 6


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.label)
def test_both_samples_of_a_pair_have_one_law(pair: Pair) -> None:
    # The weighted means of the first feature's sign agree within five standard errors.
    if pair.rows == "grouped" or max(pair.n) > 5000:
        pytest.skip("rows are not independent, or many")
    first, second = pair.draw(Seeds(7).at(pair.label))
    assert (first.n, second.n) == pair.n
    places = [_share_above(each, pair.middle) for each in (first, second)]
    error = np.hypot(places[0][1], places[1][1])
    repeats = 3.0 if pair.rows == "repeated" else 1.0
    assert abs(places[0][0] - places[1][0]) < 5.0 * error * np.sqrt(repeats)


def _share_above(events: vs.Events, place: float) -> tuple[float, float]:
    w = np.ones(events.n) if events.weights is None else events.weights
    above = events.x[:, 0] > place
    share = float(w[above].sum() / w.sum())
    return share, float(np.sqrt(((w * (above - share)) ** 2).sum()) / abs(w.sum()))
