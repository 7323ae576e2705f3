"""Where a sample deviates, as a table."""

from __future__ import annotations

from verisimile.checks.goodness.localise import Hotspots
from verisimile.report.numbers import fixed, plain_number
from verisimile.report.page import Table

__all__ = ["hotspot_table"]


def hotspot_table(found: Hotspots) -> Table:
    """Return one row per place, the largest score first."""
    return Table(
        caption=f"Where the sample deviates most: the {found.z.size} of {found.kernels} kernels "
        "with the largest score, in standard deviations of that kernel alone; positive for too "
        "many events. The largest of many is large by chance too: whether there is a deviation, "
        "p says. Events are counted with the kernel scaled to one at its centre.",
        columns=("Score", *found.names, "Width", "Events seen", "Events expected"),
        rows=tuple(
            (
                ("+" if found.z[s] > 0.0 else "") + fixed(found.z[s], places=1),
                *(plain_number(value, digits=3) for value in found.centres[s]),
                plain_number(found.widths[s], digits=2),
                plain_number(found.observed[s], digits=4),
                plain_number(found.expected[s], digits=4),
            )
            for s in range(found.z.size)
        ),
    )
