"""Sites, columns and articles; and on the public node, which pages stand on what."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from zhengtong.capabilities.portal.domain.address import article_path
from zhengtong.kernel import moment
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.records import Record


class Site(models.Model):
    """The main site or a department's sub-site (子站).

    `domain` and `id_code` go into the page tags, `accent` is its colour, `index_template` the
    form of its 索引号; `organisation` runs it.
    """

    key = models.SlugField(max_length=30, unique=True)
    name = models.CharField(max_length=60)
    domain = models.CharField(max_length=100, default="")
    id_code = models.CharField(max_length=20, default="")
    accent = models.CharField(max_length=7, default="")
    organisation = models.CharField(max_length=80, default="")
    contact = models.CharField(max_length=100, default="")
    index_template = models.CharField(max_length=60, default="{code}/{year}-{serial:05}")
    main = models.BooleanField(default=False)
    order = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["order", "key"]
        constraints = [
            models.UniqueConstraint(fields=["main"], condition=Q(main=True), name="one_main_site")
        ]

    @property
    def path(self) -> str:
        return "/" if self.main else f"/{self.key}/"


class Ask(models.TextChoices):
    """The four questions a visitor comes with; they arrange the home page."""

    NEW = "new", "最近有什么新的"
    DO = "do", "我能办什么"
    KNOW = "know", "我能知道什么"
    WHOM = "whom", "我能问谁"


class Column(models.Model):
    """A column (栏目). `type` is its ColumnType (国办发〔2017〕47号, annex)."""

    site = models.ForeignKey(Site, models.CASCADE, related_name="+")
    key = models.SlugField(max_length=30)
    name = models.CharField(max_length=30)
    type = models.CharField(max_length=20)
    description = models.CharField(max_length=200)
    keywords = models.CharField(max_length=200)
    ask = models.CharField(max_length=5, choices=Ask.choices, default=Ask.KNOW)
    on_home = models.BooleanField(default=False)
    order = models.PositiveSmallIntegerField(default=0)
    last_place = models.PositiveIntegerField(default=0)  # places are given once, from 1

    class Meta:
        ordering = ["order"]
        constraints = [models.UniqueConstraint(fields=["site", "key"], name="column_once")]

    @property
    def path(self) -> str:
        return f"{self.site.path}{self.key}/"


class State(models.TextChoices):
    """Where an article stands. On the public node every article is PUBLISHED."""

    OFFERED = "offered", "待审"
    SECOND = "second", "待复核"
    REJECTED = "rejected", "已退回"
    RELEASED = "released", "发布中"
    PUBLISHED = "published", "已上网"
    WITHDRAWING = "leaving", "撤下中"
    WITHDRAWN = "withdrawn", "已撤下"


class Article(Record):
    """Something offered to, released to, or shown to the public. `owner` is its issuing office.

    `version` counts releases. `online_version`, `online_at` and `online_url` are what the public
    node has reported; `origin` and `place` (in its column, from the oldest) are known only there.
    """

    state = models.CharField(max_length=10, choices=State.choices, default=State.OFFERED)
    column = models.ForeignKey(Column, models.PROTECT, null=True, related_name="+")
    title = models.CharField(max_length=200)
    summary = models.CharField(max_length=300, default="")
    body = models.TextField()
    source = models.CharField(max_length=80)
    document = models.UUIDField(null=True, unique=True)
    document_number = models.CharField(max_length=60, default="")
    document_kind = models.CharField(max_length=10, default="")
    issued_on = models.DateField(null=True)
    index_number = models.CharField(max_length=60, default="")
    offered_by = models.CharField(max_length=40, default="")
    released_by = models.UUIDField(null=True)
    released_by_name = models.CharField(max_length=40, default="")
    second_by = models.UUIDField(null=True)
    second_by_name = models.CharField(max_length=40, default="")
    remarks = models.JSONField(default=list)  # what the second person was shown, masked
    reason = models.CharField(max_length=300, default="")  # of the last rejection or withdrawal
    version = models.PositiveIntegerField(default=0)
    published_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True)
    online_version = models.PositiveIntegerField(default=0)
    online_at = models.DateTimeField(null=True)
    online_url = models.CharField(max_length=300, default="")
    origin = models.CharField(max_length=40, default="")
    place = models.PositiveIntegerField(null=True)
    path = models.CharField(max_length=80, default="", db_index=True)

    class Meta(Record.Meta):
        indexes = [
            models.Index(fields=["state", "-created_at"]),
            models.Index(fields=["column", "-place"]),
        ]

    def save(self, *args: object, **kwargs: object) -> None:
        self.path = article_path(self.pk)
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def require(self, *states: str) -> None:
        """Refuse an act that the article's present state does not allow."""
        if self.state not in states:
            wanted = "或".join(State(item).label for item in states)
            raise Refused(f"文稿现为“{State(self.state).label}”，须“{wanted}”才能这样办理。")


class ArticleFile(models.Model):
    """A file of an article, in order; `url_name` is its name as the address has it."""

    article = models.ForeignKey(Article, models.CASCADE, related_name="+")
    file = models.ForeignKey(StoredFile, models.PROTECT, related_name="+")
    name = models.CharField(max_length=250)
    url_name = models.CharField(max_length=200)
    order = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["order"]


class Removal(models.Model):
    """On the public node: an article was withdrawn up to this version. A late letter stays out."""

    article = models.UUIDField(primary_key=True)
    version = models.PositiveIntegerField()
    origin = models.CharField(max_length=40)
    at = models.DateTimeField(default=moment.now)
    reported = models.BooleanField(default=False, db_index=True)


class Need(models.Model):
    """A baked page shows something: `path` must be baked again when `topic` changes."""

    path = models.CharField(max_length=400)
    topic = models.CharField(max_length=100, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["path", "topic"], name="need_once")]


class Stale(models.Model):
    """A topic that has changed since its pages were baked."""

    id = models.BigAutoField(primary_key=True)
    topic = models.CharField(max_length=100)


class BakeCheck(models.Model):
    """One comparison of all baked pages with what they should be; differences were repaired."""

    at = models.DateTimeField(default=moment.now)
    pages = models.PositiveIntegerField()
    differences = models.JSONField(default=list)
    look = models.CharField(max_length=64)  # the templates the pages were made with

    class Meta:
        ordering = ["-at"]
