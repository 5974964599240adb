"""公文: drafted, issued, numbered, dispatched, signed for, circulated, returned, watched."""

from __future__ import annotations

from zhengtong.kernel.capability import Capability, Navigation, Searchable

CAPABILITY = Capability(
    name="documents",
    title="公文",
    modules=(
        "zhengtong.capabilities.documents.commands.outgoing",
        "zhengtong.capabilities.documents.commands.incoming",
        "zhengtong.capabilities.documents.commands.recall",
        "zhengtong.capabilities.documents.commands.resend",
        "zhengtong.capabilities.documents.commands.evidence",
        "zhengtong.capabilities.documents.reactions",
    ),
    urls=(("office", "documents/", "zhengtong.capabilities.documents.web.urls"),),
    navigation=(
        Navigation("收文", "/documents/incoming/", ("documents.sign_for", "documents.read"), 20),
        Navigation("发文", "/documents/outgoing/", ("documents.draft", "documents.issue"), 30),
    ),
    node_duties=(
        "documents.receive",
        "documents.lay_out",
        "documents.note_progress",
        "documents.mark_overdue",
        "documents.accept_reminder",
        "documents.accept_recall",
        "documents.note_recall",
    ),
    task_kinds=(("circulate", "zhengtong.capabilities.documents.web.incoming.mark_read"),),
    searchables=(
        Searchable(
            kind="document",
            title="公文",
            model="documents.Document",
            entry="zhengtong.capabilities.documents.queries.search_entry",
            page=lambda pk: f"/documents/{pk}/",
            on_extracted="zhengtong.capabilities.documents.queries.reindex_holders",
        ),
    ),
)
