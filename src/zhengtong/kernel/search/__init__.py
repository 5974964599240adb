"""Full-text search over everything a node holds: Chinese words and bigrams, labels inside.

    with IndexWriter(folder) as writer:
        writer.apply(upserts=[entry], deletes=["urn:…"])
        writer.commit()

    Index(folder).search("民政", Reader(ceiling=2, clearance=1, anonymous=False, …))

The index is derived from the database and can be rebuilt at any time. Tantivy and the segmenter
are loaded at the first use, so a process that never searches does not pay for them.
"""

from zhengtong.kernel.search.entry import BadEntry, Entry, Reader
from zhengtong.kernel.search.highlight import Segments
from zhengtong.kernel.search.index import Hit, Index, Order, Results
from zhengtong.kernel.search.store import (
    IndexBusy,
    IndexDamaged,
    IndexUnwritable,
    SearchError,
)
from zhengtong.kernel.search.words import add_words
from zhengtong.kernel.search.writer import IndexWriter

__all__ = [
    "BadEntry",
    "Entry",
    "Hit",
    "Index",
    "IndexBusy",
    "IndexDamaged",
    "IndexUnwritable",
    "IndexWriter",
    "Order",
    "Reader",
    "Results",
    "SearchError",
    "Segments",
    "add_words",
]
