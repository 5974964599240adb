"""Documents, their addressees and attachments; deliveries as the sender sees them, and incoming
documents as the addressee sees them. Element names follow GB/T 33480 §4."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.records import Record

# 《党政机关公文处理工作条例》 art. 8: fifteen kinds, and no others.
KINDS = "决议 决定 命令 公报 公告 通告 意见 通知 通报 报告 请示 批复 议案 函 纪要".split()


class Urgency(models.IntegerChoices):
    """紧急程度 (条例 art. 9)."""

    NORMAL = 0, "平件"
    FAST = 1, "加急"
    URGENT = 2, "特急"


class State(models.TextChoices):
    """Where a document stands at this node."""

    DRAFTING = "drafting", "办理中"
    DROPPED = "dropped", "已作废"
    ISSUED = "issued", "已签发"
    DISPATCHED = "dispatched", "已发送"
    RECEIVED = "received", "来文"


class Recall(models.TextChoices):
    """How far the recall (撤回) of one addressee's copy has come; "" while nobody asked for it."""

    ASKED = "asked", "撤回中"
    RECALLED = "recalled", "已撤回"  # before it was signed for
    AGREED = "agreed", "已同意撤回"
    DECLINED = "declined", "未同意撤回"


WITHDRAWN = (Recall.RECALLED.value, Recall.AGREED.value)


class Document(Record):
    """An official document (公文). `owner` is its issuing office, here or on another node."""

    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFTING)
    document_kind = models.CharField(max_length=4)
    title = models.CharField(max_length=200)
    body = models.TextField()
    urgency = models.PositiveSmallIntegerField(default=Urgency.NORMAL, choices=Urgency.choices)
    issuing_name = models.CharField(max_length=80)
    number = models.CharField(max_length=60, default="", db_index=True)
    issuer = models.CharField(max_length=40, default="")
    issued_on = models.DateField(null=True)
    note = models.CharField(max_length=200, default="")
    due_at = models.DateTimeField(null=True)
    drafter = models.UUIDField(null=True)
    drafter_name = models.CharField(max_length=40, default="")
    answers = models.UUIDField(null=True)  # the incoming document that gave rise to this one
    dispatched_at = models.DateTimeField(null=True)
    rendition = models.ForeignKey(StoredFile, models.PROTECT, null=True, related_name="+")
    addressee_names = models.JSONField(default=list)  # 主送, as laid out
    copy_names = models.JSONField(default=list)  # 抄送
    offered_at = models.DateTimeField(null=True)

    class Meta(Record.Meta):
        indexes = [models.Index(fields=["state", "-created_at"])]

    def require(self, *states: str) -> None:
        """Refuse an act that the document's present state does not allow."""
        if self.state not in states:
            wanted = "或".join(State(item).label for item in states)
            raise Refused(f"公文现为“{State(self.state).label}”，须“{wanted}”才能这样办理。")


class Addressee(models.Model):
    """An organisation a document is for: 主送, or 抄送 when `copy`."""

    document = models.ForeignKey(Document, models.CASCADE, related_name="+")
    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="+")
    copy = models.BooleanField(default=False)

    class Meta:
        ordering = ["copy", "organisation__rank"]
        constraints = [
            models.UniqueConstraint(fields=["document", "organisation"], name="addressed_once")
        ]


class Attachment(models.Model):
    """A file attached to a document, in order."""

    document = models.ForeignKey(Document, models.CASCADE, related_name="+")
    file = models.ForeignKey(StoredFile, models.PROTECT, related_name="+")
    name = models.CharField(max_length=200)
    order = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["order"]


HELD = Q(replaced=False, returned_at=None) & ~Q(recall__in=WITHDRAWN)
"""Deliveries whose addressee, as far as the sender knows, has or will have the document."""


class Delivery(Record):
    """One addressee of a dispatched document, as its sender follows it. Times are the facts'.

    A delivery that came to nothing is `replaced` when the document is sent there again (补发).
    """

    document = models.ForeignKey(Document, models.PROTECT, related_name="+")
    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="+")
    copy = models.BooleanField(default=False)
    dispatched_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)  # for an addressee on this same node
    signed_for_at = models.DateTimeField(null=True)
    signed_for_by = models.CharField(max_length=40, default="")
    read_at = models.DateTimeField(null=True)
    returned_at = models.DateTimeField(null=True)
    return_reason = models.CharField(max_length=2000, default="")
    due_at = models.DateTimeField(null=True)
    overdue = models.BooleanField(default=False)
    reminders = models.PositiveSmallIntegerField(default=0)
    reminded_at = models.DateTimeField(null=True)
    recall = models.CharField(max_length=8, default="", choices=Recall.choices)
    recall_asked_at = models.DateTimeField(null=True)
    recall_reason = models.CharField(max_length=2000, default="")
    recall_answered_at = models.DateTimeField(null=True)
    recall_answer = models.CharField(max_length=2000, default="")
    replaced = models.BooleanField(default=False)

    class Meta(Record.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["document", "organisation"],
                condition=Q(replaced=False),
                name="delivered_once",
            )
        ]

    @property
    def withdrawn(self) -> bool:
        """Whether the addressee's copy has been taken back."""
        return self.recall in WITHDRAWN


class Incoming(Record):
    """A document received (收文) by `owner`, with what the registry noted about it.

    One that was returned or withdrawn may be received again, under a record of its own.
    """

    document = models.ForeignKey(Document, models.PROTECT, related_name="+")
    arrived_at = models.DateTimeField()
    register_number = models.CharField(max_length=40, default="")
    signed_for_at = models.DateTimeField(null=True)
    signed_for_by = models.CharField(max_length=40, default="")
    outcome = models.CharField(max_length=10, default="")
    due_at = models.DateTimeField(null=True)
    reminders = models.PositiveSmallIntegerField(default=0)
    recall = models.CharField(max_length=8, default="", choices=Recall.choices)
    recall_at = models.DateTimeField(null=True)
    recall_by = models.CharField(max_length=40, default="")
    recall_reason = models.CharField(max_length=2000, default="")

    class Meta(Record.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "document"],
                condition=~Q(outcome__in=["returned", "recalled"]),
                name="received_once",
            )
        ]
        indexes = [
            models.Index(fields=["owner", "-arrived_at"]),
            models.Index(fields=["owner"], name="incoming_open", condition=Q(outcome="")),
        ]

    @property
    def withdrawn(self) -> bool:
        """Whether the issuer has taken the document back from this organisation."""
        return self.recall in WITHDRAWN
