"""Windows that deviate: their edges, shares, errors, p-values and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from statistical import assert_within
from verisimile.checks.twosample.permutation import permutation_test
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.statistics.interval_scan import IntervalScan
from verisimile.checks.twosample.windows import Windows, deviating_windows
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import load, save
from verisimile.core.run import Run
from verisimile.data.events import Events


def _scan(first: Events, second: Events, cells: int = 256) -> TwoSample:
    return permutation_test(Run(Seeds(1)), first, second, [IntervalScan(cells)], permutations=99)[0]


@pytest.fixture(scope="module")
def bumpy() -> tuple[Events, Events]:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(3000, 2)), rng.normal(size=(2000, 2))
    second[:80, 1] = rng.uniform(0.9, 0.95, size=80)
    names = ("mass", "rapidity")
    return Events(first, names=names), Events(second, names=names)


def test_the_bump_comes_first_with_its_place(bumpy: tuple[Events, Events]) -> None:
    first, second = bumpy
    found = deviating_windows(first, second, scan=_scan(*bumpy))
    best = found.windows[0]
    assert (best.feature, best.kind) == ("rapidity", "excess")
    assert 0.85 < best.low < 0.9 + 0.03
    assert 0.95 - 0.03 < best.high < 1.0
    assert best.z > 5.0
    assert best.p_value is not None
    assert best.p_value.value == 0.01
    assert found.significant()[0] is best
    assert found.features == ("mass", "rapidity")


def test_shares_and_ratio_are_those_of_the_interval(bumpy: tuple[Events, Events]) -> None:
    first, second = bumpy
    for window in deviating_windows(first, second).windows:
        counts = []
        for events, share in ((first, window.first_share), (second, window.second_share)):
            column = events.column(window.feature)
            p = ((column >= window.low) & (column < window.high)).mean()
            counts.append(p * events.n)
            assert share.value == pytest.approx(p, rel=1e-12)
            assert share.error == pytest.approx(np.sqrt(p * (1 - p) / events.n), rel=1e-12)
        ratio = window.second_share.value / window.first_share.value
        assert window.ratio.value == pytest.approx(ratio, rel=1e-12)
        assert window.ratio.error == pytest.approx(
            ratio * np.sqrt(1 / counts[0] - 1 / first.n + 1 / counts[1] - 1 / second.n), rel=1e-9
        )
        assert (window.kind == "excess") == (window.z > 0) == (ratio > 1)


def test_errors_of_weighted_shares_are_their_spread() -> None:
    rng, shares, errors = np.random.default_rng(2), [], []
    for _ in range(200):
        x = rng.normal(size=(80, 1))
        w = np.where(rng.random(80) < 0.15, -1.0, 1.0) * rng.gamma(2.0, size=80)
        # Two cells: the lower half of the pool, near enough a fixed interval.
        found = deviating_windows(Events(x, w), Events(np.linspace(-9, 9, 4000)[:, None]), cells=2)
        low = min(found.windows, key=lambda window: window.low).first_share
        shares.append(low.value)
        errors.append(low.error)
    spread = float(np.std(shares, ddof=1))
    # Linear propagation at 80 events, n_eff about 28: right to a tenth.
    assert_within(np.mean(errors), spread, spread / np.sqrt(400) + 0.02 * spread)


def test_windows_of_a_feature_do_not_overlap_and_are_counted(
    bumpy: tuple[Events, Events],
) -> None:
    found = deviating_windows(*bumpy, count=4).windows
    deviations = [window.deviation for window in found]
    assert deviations == sorted(deviations, reverse=True)
    for name in ("mass", "rapidity"):
        places = sorted((w.low, w.high) for w in found if w.feature == name)
        assert 1 <= len(places) <= 4
        assert all(a[1] <= b[0] for a, b in zip(places[:-1], places[1:], strict=True))


def test_the_strongest_window_has_the_p_value_of_the_scan() -> None:
    rng = np.random.default_rng(4)
    for _ in range(5):
        first, second = Events(rng.normal(size=(200, 3))), Events(rng.normal(size=(300, 3)))
        scan = _scan(first, second)
        found = deviating_windows(first, second, scan=scan)
        values = [window.p_value.value for window in found.windows if window.p_value]
        assert values[0] == scan.p_value.value
        assert values == sorted(values)
        assert found.windows[0].deviation == pytest.approx(scan.observed, abs=1e-9)


def test_order_of_columns_and_constant_features_do_not_matter(
    bumpy: tuple[Events, Events],
) -> None:
    first, second = bumpy
    turned = Events(second.x[:, ::-1], names=("rapidity", "mass"))
    assert repr(deviating_windows(first, turned)) == repr(deviating_windows(first, second))
    names = ("flat", *first.names)
    padded = [Events(np.column_stack([np.ones(e.n), e.x]), names=names) for e in bumpy]
    found = deviating_windows(padded[0], padded[1])
    assert found.windows == deviating_windows(first, second).windows
    assert "'flat'" in found.warnings[0]


def test_the_last_window_holds_the_largest_value() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(1000, 1)), rng.normal(size=(1000, 1))
    second[:100] += 6.0
    best = deviating_windows(Events(first), Events(second)).windows[0]
    top = second.max()
    assert best.low < top < best.high
    assert best.high == np.nextafter(top, np.inf)


def test_a_window_without_events_of_the_first_has_no_ratio() -> None:
    rng = np.random.default_rng(5)
    second = rng.normal(size=(1000, 1))
    second[:100] += 50.0
    best = deviating_windows(Events(rng.normal(size=(1000, 1))), Events(second)).windows[0]
    assert best.kind == "excess"
    assert best.first_share.value == 0.0
    assert np.isnan(best.ratio.value)


def test_the_result_survives_the_disk(tmp_path: Path, bumpy: tuple[Events, Events]) -> None:
    found = deviating_windows(*bumpy, scan=_scan(*bumpy))
    back = load(save(found, tmp_path / "windows"))
    assert isinstance(back, Windows)
    assert back == found


def test_a_scan_of_something_else_is_refused(bumpy: tuple[Events, Events]) -> None:
    first, second = bumpy
    scan = _scan(first, second)
    for other in (
        replace(scan, statistic="energy"),
        replace(scan, n_first=first.n - 1),
        replace(scan, observed=scan.observed + 1.0),
        _scan(first, second, cells=16),
    ):
        with pytest.raises(InputError, match="interval scan of these"):
            deviating_windows(first, second, scan=other)
    with pytest.raises(InputError, match="at least one window"):
        deviating_windows(first, second, count=0)
