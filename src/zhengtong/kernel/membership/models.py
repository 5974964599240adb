"""The tables of membership. The link to a neighbour stands in `messages.models.Neighbour`."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from zhengtong.kernel import moment
from zhengtong.kernel.ids import new_id


class Stage(models.TextChoices):
    """How far an invitation has come."""

    OPEN = "open", "待对方申请"
    ASKED = "asked", "待批准"
    ADMITTED = "admitted", "已入网"
    REFUSED = "refused", "已拒绝"
    WITHDRAWN = "withdrawn", "已作废"


class Invitation(models.Model):
    """One node is invited under one name, zone and ceiling; then what it asks for, and the answer.

    Of the token only its hash is kept. `request` is the SHA-256 of the one request that used it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    node = models.CharField(max_length=40)
    title = models.CharField(max_length=80)
    zone = models.CharField(max_length=8)
    ceiling = models.PositiveSmallIntegerField()
    token = models.BinaryField()
    made_by = models.CharField(max_length=40)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    stage = models.CharField(max_length=10, choices=Stage.choices, default=Stage.OPEN)
    request = models.BinaryField(default=bytes)
    card = models.BinaryField(default=bytes)
    csr = models.BinaryField(default=bytes)
    recovery = models.BinaryField(default=bytes)
    organisations = models.JSONField(default=list)  # [id, code, name, short name, kind]
    asked_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, default="")
    answer = models.BinaryField(default=bytes)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["node"], condition=Q(stage__in=["open", "asked"]), name="invited_once"
            )
        ]


class Approval(models.Model):
    """One administrator's yes to a request to join."""

    invitation = models.ForeignKey(Invitation, models.PROTECT, related_name="approvals")
    person = models.UUIDField()
    name = models.CharField(max_length=40)
    at = models.DateTimeField()

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(fields=["invitation", "person"], name="approved_once")
        ]


class JoinAttempt(models.Model):
    """A refused try to join, kept to slow down guessing."""

    address = models.CharField(max_length=45)
    at = models.DateTimeField(default=moment.now)

    class Meta:
        indexes = [models.Index(fields=["address", "at"])]


class Member(models.Model):
    """What this node has given to a node that it admitted."""

    node = models.CharField(max_length=40, unique=True)
    joined_at = models.DateTimeField()
    certificate = models.TextField(default="")
    certificate_expires = models.DateTimeField(null=True)


class FormerCard(models.Model):
    """A card that a node, a neighbour or this one, had before its keys changed.

    Kept for ever, as evidence of what was signed; signatures under it are taken until
    `accepted_until`, which is the moment of change itself when the key was lost.
    """

    node = models.CharField(max_length=40)
    card = models.BinaryField()
    replaced_at = models.DateTimeField()
    accepted_until = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["node", "accepted_until"])]


class DirectoryVersion(models.Model):
    """A signed directory, issued here or received."""

    issuer = models.CharField(max_length=63)
    version = models.BigIntegerField()
    digest = models.BinaryField()
    signed = models.BinaryField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["issuer", "version"], name="directory_version_once")
        ]


class Rotation(models.Model):
    """A change of this node's own keys, from announcement to the old key's destruction."""

    old_card = models.BinaryField()
    new_key = models.CharField(max_length=16)  # the new signing key's id in hex
    voucher = models.BinaryField()
    started_at = models.DateTimeField()
    switched_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)


class RotationAnswer(models.Model):
    """A neighbour seals for the new key from now on, in this lane of the link."""

    rotation = models.ForeignKey(Rotation, models.CASCADE, related_name="answers")
    node = models.CharField(max_length=40)
    lane = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rotation", "node", "lane"], name="rotation_answered")
        ]
