"""The checksums of an RNTuple that uproot leaves unread: of its list of pages, of the pages."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from verisimile.core.errors import InputError, require
from verisimile.data.formats.file import optional

Model = Any
"""An object of uproot, which is optional and untyped."""

_SIZE = 8  # bytes of a checksum


@dataclass(frozen=True, slots=True)
class NtupleChecksums:
    """Compares an RNTuple's checksums with what they are of, for the fields that are read.

    Attributes
    ----------
    ntuple
        The open RNTuple.
    columns
        Pairs of a column and its field, by the top-level field that they belong to.
    """

    ntuple: Model
    columns: dict[int, list[tuple[int, int]]]

    def check_field(self, field: Model) -> None:
        """Raise unless all pages that a field is read from are what was written."""
        own = field.field_id
        related = [
            number
            for number, other in self.columns.get(self._above(own)[-1], [])
            if own in self._above(other) or other in self._above(own)
        ]
        for cluster in self.ntuple.page_link_list:
            for number in related:
                # A column that came later has no pages in the first clusters.
                for page in cluster[number].pages if number < len(cluster) else ():
                    if page.has_checksum:
                        self._check_page(page, field.name)

    def _above(self, number: int) -> list[int]:
        """Return a field and those that it is part of."""
        return _chain(self.ntuple, number)

    def _check_page(self, page: Model, name: str) -> None:
        start, size = page.locator.offset, page.locator.num_bytes
        chunk = self.ntuple.file.source.chunk(start, start + size + _SIZE)
        require(
            _is_intact(bytes(chunk.raw_data)),
            f"column {name!r}",
            got="a page whose checksum is that of other values",
            expected="an intact file",
            remedy="Copy or write the file anew.",
        )


def check_envelopes(ntuple: Model) -> None:
    """Raise unless header and footer are what their checksums are of.

    uproot compares them once it has gone through what they say, for hours if that is damaged.
    """
    ntuple._prepare_header_chunk()
    ntuple._prepare_footer_chunk()
    for name, chunk in (("header", ntuple._header_chunk), ("footer", ntuple._footer_chunk)):
        if not _is_intact(bytes(chunk.raw_data)):
            raise InputError(
                name,
                got=f"a {name} with the checksum of another",
                expected="an intact file",
                remedy="Copy or write the file anew.",
            )


def ntuple_checksums(ntuple: Model) -> NtupleChecksums:
    """Return the checksums of an RNTuple, after a look at those of its lists of pages."""
    for record in ntuple.footer.cluster_group_records:
        link = record.page_list_link
        chunk, _ = ntuple.read_locator(link.locator, link.env_uncomp_size)
        if not _is_intact(bytes(chunk.raw_data)):
            raise InputError(
                "pages",
                got="a list of pages with the checksum of another",
                expected="an intact file",
                remedy="Copy or write the file anew.",
            )
    columns: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, record in enumerate(ntuple.column_records):
        columns[_chain(ntuple, record.field_id)[-1]].append((number, record.field_id))
    return NtupleChecksums(ntuple, columns)


def _chain(ntuple: Model, number: int) -> list[int]:
    """Return a field and those that it is part of, up to one of the top level."""
    chain = [number]
    while (parent := ntuple.field_records[chain[-1]].parent_field_id) != chain[-1]:
        chain.append(parent)
    return chain


def _is_intact(data: bytes) -> bool:
    """Return whether the last eight bytes are the checksum of those before."""
    intended = int.from_bytes(data[-_SIZE:], "little")
    return bool(optional("xxhash").xxh3_64_intdigest(data[:-_SIZE]) == intended)
