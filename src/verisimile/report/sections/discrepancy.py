"""What a fit claims of its errors: with the discrepancy of the members and without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from verisimile.mixture.discrepancy.posterior import (
    DiscrepancyFit,
    DiscrepancySummary,
    FeatureBand,
)
from verisimile.report.claims import UNMOVED, claimed
from verisimile.report.numbers import count, fixed, plain_number, rough
from verisimile.report.page import Illustration, Part, Table
from verisimile.report.section import Section, takes
from verisimile.report.sections.discrepancy_figure import errors_figure
from verisimile.report.sections.origin import described_features
from verisimile.report.verdict import Finding

_MOST_FEATURES = 12  # in the figure
_MOST_BINS = 6  # in the table


@takes(DiscrepancySummary, DiscrepancyFit)
class Errors(Section[DiscrepancySummary]):
    """The discrepancy of a mixture's members: described, not tested."""

    title = ""
    order = 91

    @classmethod
    def arranged(cls, results: Sequence[Any]) -> Sequence[DiscrepancySummary]:
        """Return what they say to a reader, without what computes anything."""
        return [
            result.summary if isinstance(result, DiscrepancyFit) else result for result in results
        ]

    def findings(self) -> Iterator[Finding]:
        """Yield none."""
        yield from ()

    def parts(self) -> Iterator[Part]:
        """Yield one part for each."""
        for number, found in enumerate(self.results, 1):
            yield Part(
                "What the errors hold",
                claimed(found),
                (self._picture(found, number),),
                (discrepancy_table(found),),
            )

    def _picture(self, found: DiscrepancySummary, number: int) -> Illustration:
        bands = sorted(found.bands, key=_largest_pull, reverse=True)[:_MOST_FEATURES]
        kept = [band for band in found.bands if any(band is one for one in bands)]
        left_out = len(found.bands) - len(kept)
        others = f" The {left_out} features that moved least are left out." if left_out else ""
        features = {one.name: one for one in described_features(self.content.inputs)}
        return Illustration(
            name=f"errors-{number}",
            caption="Above: claimed errors of the bins of each feature, over the errors that the "
            "events of the fit have if they are only counted. Below: by how much the correction "
            "has changed what the members say, with its 1σ and 2σ bands. Bins are drawn equally "
            f"wide.{others}",
            alt=f"Errors of the bins of {len(kept)} features over the counting error: "
            f"{fixed(found.claimed)} with the discrepancy and {fixed(found.claimed_by_weights)} "
            "without it, as root mean squares.",
            figure=errors_figure(kept, features),
            broad=True,
        )


def _largest_pull(band: FeatureBand) -> float:
    return float(np.abs((band.corrected - band.plain) / band.errors).max())


def discrepancy_table(found: DiscrepancySummary) -> Table:
    """Return the record of the fit of a discrepancy, and the bins that it has moved most."""
    r, off = found.record, found.notable()
    moved = "Off by more than two errors"
    bins = [(moved, str(shift)) for shift in off[:_MOST_BINS]] or [("Bins", UNMOVED)]
    if len(off) > _MOST_BINS:
        bins.append(("Further bins", count(len(off) - _MOST_BINS)))
    rows = (
        ("Events that it was learnt from (effective)", count(r.n_events)),
        ("Functions", count(r.n_functions)),
        ("Of them determined", plain_number(r.effective, digits=3)),
        ("Logarithm of the Bayes factor for a discrepancy", plain_number(r.evidence, digits=3)),
        ("Certified distance to the optimum [nats]", plain_number(r.gap, digits=2)),
        ("Reference events, and what they are worth", _worth(found)),
        ("Largest ratio to the density of the members", rough(float(np.exp(r.largest_log_ratio)))),
        ("Claimed over counting error, root mean square", fixed(found.claimed)),
        ("The same without the discrepancy", fixed(found.claimed_by_weights)),
        ("Test events that the claimed errors support", rough(found.supports)),
        *bins,
    )
    return Table("Discrepancy of the members.", ("Quantity", "Value"), rows, words=frozenset({1}))


def _worth(found: DiscrepancySummary) -> str:
    return f"{count(found.record.reference)}, {count(found.record.effective_reference)}"
