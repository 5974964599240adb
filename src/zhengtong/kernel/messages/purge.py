"""Forgetting: what a node was told about a record that had to be taken back from it.

The rows of the exchange stay, with their numbers and digests, because the link and the evidence
need them; the words inside go. Overwriting what the database file and its log still hold is
`kernel.engine.overwrite_deleted` before and `kernel.engine.leave_no_trace` after.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import ForeignObjectRel, Model

from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.messages.models import Arrival, Message
from zhengtong.kernel.messages.pieces import FilePiece
from zhengtong.kernel.records import RecordQuerySet


def forget(subject: str) -> int:
    """Empty every message about a record and the envelope it came in; how many messages.

    The envelopes too: this node holds the key that opens them. A message that has not been handled
    yet is left alone, and so is the one whose reaction is calling.
    """
    known = Message.objects.filter(subject=subject, pending=False)
    Arrival.objects.filter(message__in=known.values("pk")).update(envelope=b"")
    return known.exclude(body=b"").update(body=b"")


def allow_resending(files: Iterable[str]) -> int:
    """Let files travel again to nodes that were sent them once; how many pieces were theirs.

    A file is sent to a neighbour only if no letter with it ever was. When the neighbour says that
    it has deleted it since, those letters must no longer count.
    """
    subjects = [f"file:{sha256}" for sha256 in files]
    return Message.objects.filter(kind=FilePiece.kind, subject__in=subjects).update(subject="")


def forget_file(sha256: str) -> bool:
    """Delete a stored file's row, with the text read from it, unless another row names it.

    The file itself is the caller's to unlink once this has been committed. Whoever names it is
    asked outright: Django's own cascade would read labelled tables without having said for whom.
    """
    for relation in StoredFile._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ForeignObjectRel):
            continue
        holder: type[Model] = relation.field.model
        rows = holder._base_manager.filter(**{relation.field.name: sha256})
        if isinstance(rows, RecordQuerySet):
            rows = rows.unlabelled("whether a file is still in use")
        if rows.exists():
            return False
    found = StoredFile.objects.filter(pk=sha256)
    return bool(found._raw_delete(found.db))
