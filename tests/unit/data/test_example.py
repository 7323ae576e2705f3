from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
from scipy import stats

from verisimile.data.example import load_example
from verisimile.data.transforms import feature_transform

NAMES = ("m_ll", "pt_ll", "y_ll", "cos_theta_cs")


def test_the_file_is_small() -> None:
    path = resources.files("verisimile.data") / "zmumu_example.parquet"
    assert len(path.read_bytes()) <= 2_000_000


def test_samples_have_their_sizes_and_specifications() -> None:
    samples = load_example()
    assert {name: events.n for name, events in samples.items()} == {
        "truth": 80_000,
        "generator_tune": 10_000,
        "surrogate_smeared": 10_000,
    }
    for events in samples.values():
        assert events.names == NAMES
        assert events.weights is None
        assert [feature.bounds for feature in events.features] == [2, 1, 2, 2]
        assert events.features[0].title == r"$m_{\ell\ell}$ [GeV]"


def test_values_are_strictly_inside_the_support_and_float32() -> None:
    for events in load_example().values():
        assert (events.x == events.x.astype(np.float32)).all()
        for feature, column in zip(events.features, events.x.T, strict=True):
            assert ((column > feature.low) & (column < feature.high)).all()


def test_samples_share_no_event_and_repeat_none() -> None:
    samples = load_example()
    truth = samples["truth"]
    assert len(np.unique(truth.x, axis=0)) == truth.n
    assert truth.overlap(samples["generator_tune"]) == 0
    assert truth.overlap(samples["surrogate_smeared"]) == 0


@pytest.mark.parametrize(
    ("sample", "defective"), [("generator_tune", "pt_ll"), ("surrogate_smeared", "m_ll")]
)
def test_each_defect_is_where_it_is_said_to_be(sample: str, defective: str) -> None:
    samples = load_example()
    truth, other = samples["truth"], samples[sample]
    p_values = {n: stats.ks_2samp(truth.column(n), other.column(n)).pvalue for n in NAMES}
    assert p_values.pop(defective) < 1e-6
    assert min(p_values.values()) > 1e-4


def test_the_boson_peaks_at_its_mass() -> None:
    assert abs(np.median(load_example()["truth"].column("m_ll")) - 91.19) < 0.5


def test_the_transform_leaves_smooth_tails_in_place_of_edges() -> None:
    truth = load_example()["truth"]
    y, _ = feature_transform(truth).forward(truth.x)
    # No pile-up: the outermost per mille on either side spreads over a good part of a unit.
    low, near_low, near_high, high = np.quantile(y, [0, 1e-3, 1 - 1e-3, 1], axis=0)
    assert (near_low - low > 0.3).all()
    assert (high - near_high > 0.3).all()
