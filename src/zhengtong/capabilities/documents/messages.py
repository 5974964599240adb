"""The facts of official documents, told inside a node and between nodes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from zhengtong.kernel.messages.facts import Fact, FileRef, fact


@fact("documents.issued", "公文签发")
@dataclass(frozen=True)
class Issued(Fact):
    """A document has been signed and numbered; it can be laid out."""

    document: UUID


@fact("documents.dispatched", "公文")
@dataclass(frozen=True)
class Dispatched(Fact):
    """An issued document left its issuer, whole: this is what the addressee holds.

    `files` are the attachments in order, followed by the laid-out PDF.
    """

    document: UUID
    title: str
    document_kind: str
    number: str
    body: str
    urgency: int
    issuing_office: UUID
    issuing_name: str
    issuer: str
    issued_on: date
    addressees: tuple[str, ...]
    copy_to: tuple[str, ...]
    note: str
    due: datetime | None
    level: int
    share: int
    files: tuple[FileRef, ...]


@fact("documents.signed_for", "签收")
@dataclass(frozen=True)
class SignedFor(Fact):
    """An addressee signed for a document (条例 art. 24: with the time)."""

    document: UUID
    organisation: UUID
    by: str
    at: datetime


@fact("documents.read", "批阅")
@dataclass(frozen=True)
class Read(Fact):
    """An addressee's leader has read a document and given an instruction, or it was circulated."""

    document: UUID
    organisation: UUID
    by: str
    at: datetime


@fact("documents.returned", "退回")
@dataclass(frozen=True)
class Returned(Fact):
    """An addressee sent a document back, with the reason (条例 art. 24)."""

    document: UUID
    organisation: UUID
    by: str
    at: datetime
    reason: str


@fact("documents.recalled", "撤回")
@dataclass(frozen=True)
class Recalled(Fact):
    """The issuer takes a document back from some of its addressees, or asks them for it.

    Which of the two, each addressee's own node decides: it takes effect there when the document
    has not been signed for, and is a request when it has.
    """

    document: UUID
    organisations: tuple[UUID, ...]
    by: str
    at: datetime
    reason: str


@fact("documents.recall_answered", "撤回答复")
@dataclass(frozen=True)
class RecallAnswered(Fact):
    """What became of a recall at one addressee.

    `outcome` is "recalled" (it had not been signed for), "agreed" or "declined" (it had, and this
    is the answer to the request); `by` is whoever answered, `reason` what they wrote.
    """

    document: UUID
    organisation: UUID
    outcome: str
    by: str
    at: datetime
    reason: str


@fact("documents.reminded", "催办")
@dataclass(frozen=True)
class Reminded(Fact):
    """The issuer reminds an addressee who has not signed for, or not dealt with, a document."""

    document: UUID
    text: str
    at: datetime


@fact("documents.fell_due", "办理到期")
@dataclass(frozen=True)
class FellDue(Fact):
    """The time limit of a dispatched document has passed."""

    document: UUID


@fact("documents.offered", "送公开审查")
@dataclass(frozen=True)
class Offered(Fact):
    """A document is offered for publication; the portal's release step decides."""

    document: UUID
    title: str
    document_kind: str
    number: str
    body: str
    issuing_office: UUID
    issuing_name: str
    issued_on: date
    level: int
    files: tuple[FileRef, ...]
    offered_by: str
    summary: str = ""
