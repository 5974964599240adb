"""The tables of the exchange. They, not any transport, are the truth of what was sent and received.

A Message is a fact that was told, here or elsewhere. A Letter is a message on its way to one node;
Sent is that letter sealed and numbered on a link; Arrival is a numbered envelope received. What is
delivered is derived: a letter is delivered when its number is within the receipts held.
"""

from __future__ import annotations

import cbor2
from django.db import models
from django.db.models import Q

from zhengtong.kernel import moment
from zhengtong.kernel.ids import new_id


class Neighbour(models.Model):
    """A node we exchange with directly. The state of each lane of the link is a LinkLane.

    `road` carries the link. `skew_ms`: their clock minus ours when last heard. `log_epoch`,
    `log_roots`, `log_at`: their evidence log as far as we have verified it (wire.link.Seen).
    `witness_epoch`, `witness_size`: how far they have cosigned ours.
    """

    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=80)
    zone = models.CharField(max_length=8)
    ceiling = models.PositiveSmallIntegerField()
    card = models.BinaryField()
    road = models.CharField(max_length=8, default="https")
    is_parent = models.BooleanField(default=False)
    suspended = models.BooleanField(default=False)
    expelled = models.BooleanField(default=False)
    recovery = models.BinaryField(default=bytes)  # its recovery card, empty without one
    last_contact = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=200, default="")
    skew_ms = models.BigIntegerField(null=True)
    version = models.CharField(max_length=40, default="")
    log_epoch = models.PositiveBigIntegerField(default=0)
    log_roots = models.BinaryField(default=bytes)
    log_at = models.DateTimeField(null=True)
    witness_epoch = models.PositiveBigIntegerField(default=0)
    witness_size = models.BigIntegerField(default=0)
    cosigned = models.BinaryField(default=bytes)
    certificate_until = models.DateTimeField(null=True)  # of the one last shown; null: no TLS

    @property
    def log_size(self) -> int:
        """How many entries of their evidence log we have verified."""
        return self._verified()[0]

    @property
    def log_root(self) -> bytes:
        """The root of their log at that size; empty while nothing of it is verified."""
        return self._verified()[1]

    def _verified(self) -> tuple[int, bytes]:
        """The newest of the sizes and roots remembered, of which there may be none yet."""
        roots = cbor2.loads(bytes(self.log_roots)) if self.log_roots else []
        return tuple(roots[0]) if roots else (0, b"")


class Route(models.Model):
    """A node that is no neighbour: letters for it leave by `neighbour`, sealed for its own card."""

    name = models.CharField(max_length=63, unique=True)
    title = models.CharField(max_length=80)
    zone = models.CharField(max_length=8)
    ceiling = models.PositiveSmallIntegerField()
    card = models.BinaryField()
    neighbour = models.ForeignKey(Neighbour, models.CASCADE, related_name="routes")


class LinkLane(models.Model):
    """One lane of a link: the numbers and chains of wire.link.Lane."""

    neighbour = models.ForeignKey(Neighbour, models.CASCADE, related_name="lanes")
    lane = models.PositiveSmallIntegerField()
    said = models.BigIntegerField(default=0)
    heard = models.BigIntegerField(default=0)
    sealed = models.BigIntegerField(default=0)
    sealed_chain = models.BinaryField(default=bytes)
    offered = models.BigIntegerField(default=0)
    receipted = models.BigIntegerField(default=0)
    taken = models.BigIntegerField(default=0)
    received = models.BigIntegerField(default=0)
    received_chain = models.BinaryField(default=bytes)
    answered = models.BigIntegerField(default=0)
    announced = models.BigIntegerField(default=0)
    again = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["neighbour", "lane"], name="lane_once")]


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
    """A message to be carried to one node, the `destination`; `neighbour` is the next hop.

    `envelope` holds a letter in transit as it came, `beside` names the file with what came beside
    it, until it is receipted (transit_files.py); one of our own is sealed when its turn comes.
    """

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(Message, models.CASCADE, related_name="letters")
    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    destination = models.CharField(max_length=63)
    lane = models.PositiveSmallIntegerField(default=2)
    envelope = models.BinaryField(default=bytes)
    beside = models.CharField(max_length=64, default="")
    waiting = models.BooleanField(default=True)
    problem = models.CharField(max_length=300, default="")  # why it could not be sealed
    created_at = models.DateTimeField(default=moment.now)

    class Meta:
        indexes = [
            models.Index(
                fields=["neighbour", "lane", "id"],
                name="letter_waiting",
                condition=Q(waiting=True),
            ),
            models.Index(fields=["created_at", "id"], name="letter_by_time"),
            models.Index(fields=["id"], name="letter_stuck", condition=Q(problem__gt="")),
            models.Index(fields=["beside"], name="letter_beside", condition=Q(beside__gt="")),
        ]


class Sent(models.Model):
    """A letter sealed as an envelope with its number in a lane; offered again until receipted.

    `chain` commits to all letters of the lane up to this one; `epoch` and `leaf` are its place in
    our evidence log. `bulk`: a piece of a file travels beside it (pieces.bulk_of).
    """

    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    lane = models.PositiveSmallIntegerField()
    sequence = models.BigIntegerField()
    letter = models.OneToOneField(Letter, models.CASCADE, related_name="sent")
    digest = models.BinaryField()
    chain = models.BinaryField()
    epoch = models.PositiveBigIntegerField()
    leaf = models.BigIntegerField()
    envelope = models.BinaryField()
    disclosure = models.BinaryField(default=bytes)  # salted plaintext: proves the content
    bulk = models.BooleanField(default=False)
    at = models.DateTimeField(default=moment.now)
    refusal = models.CharField(max_length=40, default="")
    refusal_detail = models.CharField(max_length=500, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["neighbour", "lane", "sequence"], name="sent_once")
        ]
        # Few are refused; the condition is written as the queries write it, or it is not used.
        indexes = [
            models.Index(fields=["letter"], name="sent_refused", condition=Q(refusal__gt=""))
        ]


class Arrival(models.Model):
    """An envelope received under its number: stored as a message, or refused with a reason."""

    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    lane = models.PositiveSmallIntegerField()
    sequence = models.BigIntegerField()
    digest = models.BinaryField()
    chain = models.BinaryField()
    epoch = models.PositiveBigIntegerField()
    leaf = models.BigIntegerField()
    envelope = models.BinaryField()
    message = models.UUIDField(null=True, db_index=True)
    refusal = models.CharField(max_length=40, default="")
    refusal_detail = models.CharField(max_length=500, default="")
    at = models.DateTimeField(default=moment.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["neighbour", "lane", "sequence"], name="arrived_once")
        ]
        indexes = [
            models.Index(fields=["at", "id"], name="arrival_by_time"),
            models.Index(fields=["at"], name="arrival_refused", condition=Q(refusal__gt="")),
        ]


class Receipt(models.Model):
    """A neighbour's signed receipts over our letters [first, last] of a lane, kept as evidence.

    `undone`: it was restored to before, and has said since that it holds fewer of them.
    """

    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    lane = models.PositiveSmallIntegerField()
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    at = models.DateTimeField()  # by the neighbour's clock, of the newest letter
    body = models.BinaryField()
    undone = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["neighbour", "lane", "last"])]


class CarriedReceipt(models.Model):
    """What a node further on than the neighbour says of a letter of ours: a log entry of its own,
    and the receipt of inclusion (RFC 9942), carried back by the node before it."""

    sent = models.ForeignKey(Sent, models.CASCADE, related_name="carried")
    by = models.CharField(max_length=63)
    event = models.CharField(max_length=20)
    at = models.DateTimeField()
    entry = models.BinaryField()
    receipt = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sent", "by", "event"], name="carried_once")]


class PeerStanding(models.Model):
    """What a neighbour signed about a lane: that it holds our letters up to `received`, and has
    sent us its own up to `sent`, each with the chain. Kept when either has grown."""

    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    lane = models.PositiveSmallIntegerField()
    sent = models.BigIntegerField()
    received = models.BigIntegerField()
    at = models.DateTimeField()
    body = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["neighbour", "lane", "received"])]


class LogHead(models.Model):
    """The size of our evidence log of one epoch; a node restored from a backup begins another."""

    epoch = models.PositiveBigIntegerField(primary_key=True)
    size = models.BigIntegerField(default=0)
    begun_at = models.DateTimeField(default=moment.now)


class LogTile(models.Model):
    """256 neighbouring hashes of one height of a log (wire.log)."""

    epoch = models.PositiveBigIntegerField()
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["epoch", "level", "index"], name="tile_once")
        ]


class LogBlock(models.Model):
    """Entries that were appended together: a CBOR array, the first at position `first`."""

    epoch = models.PositiveBigIntegerField()
    first = models.BigIntegerField()
    count = models.PositiveIntegerField()
    entries = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["epoch", "first"], name="block_once")]


class Cosignature(models.Model):
    """A neighbour's signature under the checkpoint of our log at one size."""

    neighbour = models.ForeignKey(Neighbour, models.PROTECT, related_name="+")
    epoch = models.PositiveBigIntegerField()
    size = models.BigIntegerField()
    line = models.BinaryField()
    at = models.DateTimeField(default=moment.now)

    class Meta:
        indexes = [models.Index(fields=["epoch", "size"])]


class LinkAlarm(models.Model):
    """Something about a link that people must look at; `proof` is what the neighbour signed.

    `announced`: those whose duty it is have been told, in their to-do lists and on their pages.
    """

    neighbour = models.ForeignKey(Neighbour, models.CASCADE, related_name="alarms")
    code = models.CharField(max_length=40)
    detail = models.CharField(max_length=500)
    proof = models.BinaryField(default=bytes)
    at = models.DateTimeField(default=moment.now)
    last_at = models.DateTimeField(default=moment.now)
    times = models.PositiveIntegerField(default=1)
    cleared_at = models.DateTimeField(null=True)
    announced = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["neighbour", "code"], name="alarm_open", condition=Q(cleared_at=None)
            )
        ]


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
        indexes = [
            models.Index(
                fields=["message"], name="handling_dead", condition=Q(dead=True, done=False)
            )
        ]


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
