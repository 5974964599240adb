"""The tables of the exchange. They, not any transport, are the truth of what was sent and received.

A Message is a fact that was told, here or elsewhere. A Letter is a message on its way to one node;
Sent is that letter sealed and numbered on a link; Arrival is a numbered envelope received. What is
delivered is derived: a letter is delivered when its number is within the receipts held.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from zhengtong.kernel import moment
from zhengtong.kernel.ids import new_id


class Neighbour(models.Model):
    """A node we exchange with directly, and the state of the link to it.

    All numbers are gap-free sequences of this link. `sealed`: highest number we have given to a
    letter; `receipted`: highest number for which we hold its receipt, all lower ones included;
    `received`: highest number of theirs we have durably stored, all lower ones included.
    `said` and `heard` are the newest batch counters of either side, so that no batch counts twice.
    """

    name = models.CharField(max_length=40, unique=True)
    title = models.CharField(max_length=80)
    zone = models.CharField(max_length=8)
    ceiling = models.PositiveSmallIntegerField()
    card = models.BinaryField()
    is_parent = models.BooleanField(default=False)
    road = models.CharField(max_length=8, default="https")
    suspended = models.BooleanField(default=False)
    said = models.BigIntegerField(default=0)
    heard = models.BigIntegerField(default=0)
    sealed = models.BigIntegerField(default=0)
    receipted = models.BigIntegerField(default=0)
    received = models.BigIntegerField(default=0)
    last_contact = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=200, default="")


class Message(models.Model):
    """A fact, told here or received, under the label of the record it is about."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=60)
    body = models.BinaryField()
    level = models.PositiveSmallIntegerField()
    subject = models.CharField(max_length=120, default="", db_index=True)
    origin = models.CharField(max_length=40)
    addressees = models.JSONField(default=list)  # organisation ids as text
    at = models.DateTimeField()
    arrived_at = models.DateTimeField(default=moment.now)
    pending = models.BooleanField(default=True)
    claimed_until = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="message_pending", condition=Q(pending=True)),
            models.Index(fields=["subject", "id"], name="message_by_subject"),
        ]


class Letter(models.Model):
    """A message to be carried to one node; `neighbour` is the next hop."""

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, models.CASCADE, related_name="letters")
    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    lane = models.PositiveSmallIntegerField(default=2)
    waiting = models.BooleanField(default=True)
    problem = models.CharField(max_length=300, default="")  # why it could not be sealed
    created_at = models.DateTimeField(default=moment.now)

    class Meta:
        indexes = [
            models.Index(
                fields=["neighbour", "lane", "id"],
                name="letter_waiting",
                condition=Q(waiting=True),
            )
        ]


class Sent(models.Model):
    """A letter sealed as an envelope with its number on the link; resent until receipted."""

    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    sequence = models.BigIntegerField()
    letter = models.OneToOneField(Letter, models.CASCADE, related_name="sent")
    digest = models.BinaryField()
    envelope = models.BinaryField()
    disclosure = models.BinaryField(default=bytes)  # salted plaintext: proves the content
    at = models.DateTimeField(default=moment.now)
    refusal = models.CharField(max_length=40, default="")
    refusal_detail = models.CharField(max_length=500, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["neighbour", "sequence"], name="sent_once")]


class Arrival(models.Model):
    """An envelope received under its number: stored as a message, or refused with a reason."""

    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    sequence = models.BigIntegerField()
    digest = models.BinaryField()
    envelope = models.BinaryField()
    message = models.UUIDField(null=True, db_index=True)
    refusal = models.CharField(max_length=40, default="")
    refusal_detail = models.CharField(max_length=500, default="")
    at = models.DateTimeField(default=moment.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["neighbour", "sequence"], name="arrived_once")
        ]


class Receipt(models.Model):
    """A neighbour's signed receipt over our letters [first, last], kept as evidence."""

    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    at = models.DateTimeField()  # by the neighbour's clock, of the newest letter
    body = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["neighbour", "last"])]


class Handling(models.Model):
    """What became of one message in one reaction; (message, reaction) is unique, so once."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="handlings")
    reaction = models.CharField(max_length=120)
    done = models.BooleanField(default=False)
    dead = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "reaction"], name="handled_once")]


class Lease(models.Model):
    """Work that one process of the node does at a time, until `until` unless renewed."""

    name = models.CharField(max_length=60, primary_key=True)
    holder = models.CharField(max_length=60)
    until = models.DateTimeField()


class IncomingFile(models.Model):
    """One received piece of a file that is still arriving."""

    sha256 = models.CharField(max_length=64)
    index = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sha256", "index"], name="piece_once")]
