"""Organisations as a time-valid tree, divisions, people, posts and the duties posts carry."""

from __future__ import annotations

from datetime import date

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import F, Q

from zhengtong.kernel import moment
from zhengtong.kernel.ids import new_id
from zhengtong.kernel.labels import Level


class Kind(models.TextChoices):
    """What an organisation is; 条例 rules of direction read this."""

    PROVINCE = "province", "省级机关"
    CITY = "city", "市级机关"
    DEPARTMENT = "department", "市直部门"
    COUNTY = "county", "县级单位"


class Organisation(models.Model):
    """An organisation (机关). The row is its present; `OrganisationVersion` keeps its past."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    code = models.CharField(max_length=18, unique=True)
    name = models.CharField(max_length=80)
    short_name = models.CharField(max_length=40)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")
    rank = models.PositiveSmallIntegerField(default=0)
    node = models.CharField(max_length=40, db_index=True)
    symbol = models.CharField(max_length=20, default="")  # 发文机关代字
    mark = models.CharField(max_length=60, default="")  # 发文机关标志
    valid_from = models.DateField(default=date(1949, 10, 1))

    class Meta:
        ordering = ["rank", "code"]

    def __str__(self) -> str:
        return self.name

    @property
    def urn(self) -> str:
        return f"urn:zhengtong:organisation:{self.pk}"


class OrganisationVersion(models.Model):
    """What an organisation was called and coded during [valid_from, valid_to)."""

    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="versions")
    code = models.CharField(max_length=18, db_index=True)
    name = models.CharField(max_length=80)
    parent = models.ForeignKey(Organisation, models.PROTECT, null=True, related_name="+")
    valid_from = models.DateField()
    valid_to = models.DateField(null=True)

    class Meta:
        ordering = ["valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation"], condition=Q(valid_to=None), name="one_present_version"
            ),
            models.CheckConstraint(
                condition=Q(valid_to=None) | Q(valid_to__gt=F("valid_from")), name="version_lasts"
            ),
        ]


class Division(models.Model):
    """A division (处室) of an organisation."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="divisions")
    name = models.CharField(max_length=60)


class Post(models.Model):
    """A post (岗位): duties belong to it, people come and go."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organisation = models.ForeignKey(Organisation, models.PROTECT, related_name="posts")
    division = models.ForeignKey(Division, models.PROTECT, null=True, related_name="posts")
    title = models.CharField(max_length=60)


class PostDuty(models.Model):
    """One duty of a post: the name of a command its holders may run."""

    post = models.ForeignKey(Post, models.CASCADE, related_name="duties")
    duty = models.CharField(max_length=60)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["post", "duty"], name="duty_once")]
        indexes = [models.Index(fields=["duty"])]


class PersonManager(BaseUserManager["Person"]):
    def get_by_natural_key(self, username: str | None) -> Person:
        return self.get(sign_in_name=username)


class Person(AbstractBaseUser):
    """A person who signs in. `clearance` bounds what they may read, whatever their post."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    sign_in_name = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=40)
    clearance = models.PositiveSmallIntegerField(default=Level.INTERNAL)
    active = models.BooleanField(default=True)

    USERNAME_FIELD = "sign_in_name"
    objects = PersonManager()

    @property
    def is_active(self) -> bool:  # type: ignore[override]  # Django's name for it
        return self.active

    def __str__(self) -> str:
        return self.name


class Appointment(models.Model):
    """A person holds a post during [since, until)."""

    person = models.ForeignKey(Person, models.PROTECT, related_name="appointments")
    post = models.ForeignKey(Post, models.PROTECT, related_name="appointments")
    since = models.DateField()
    until = models.DateField(null=True)


class SignInAttempt(models.Model):
    """One try to sign in, kept to slow down guessing."""

    sign_in_name = models.CharField(max_length=40)
    address = models.CharField(max_length=45)
    at = models.DateTimeField(default=moment.now)
    succeeded = models.BooleanField()

    class Meta:
        indexes = [
            models.Index(fields=["sign_in_name", "at"]),
            models.Index(fields=["address", "at"]),
        ]
