"""The public node: what is published can be found and read, what is withdrawn is nowhere."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from django.db import connection

from zhengtong.capabilities.portal import messages, queries
from zhengtong.capabilities.portal.domain.address import article_path
from zhengtong.capabilities.portal.models import Article, Removal
from zhengtong.capabilities.portal.tests import stage
from zhengtong.capabilities.portal.tests.stage import PublicNode
from zhengtong.capabilities.portal.web import bake
from zhengtong.kernel import files
from zhengtong.kernel.directory.actors import anonymous
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.messages.models import Arrival, Handling, Message
from zhengtong.kernel.search.indexer import index, reader

MARKER = "龘靐齉爩绝迹標記"


def body(node: PublicNode, path: str) -> str:
    page = node.store.read(path)
    assert page is not None, f"nothing stands at {path}"
    return page.body.decode()


def where_found(marker: str, folder: Path) -> list[str]:
    """Every file under a folder that holds the marker in an encoding somebody might have used."""
    wanted = [marker.encode(code) for code in ("utf-8", "utf-16-le", "gb18030")]
    wanted.append(quote(marker).encode())
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if any(item in data for item in wanted):
                found.append(str(path.relative_to(folder)))
    return found


def database_holds(marker: str) -> list[str]:
    """The tables in which any column of any row holds the marker."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT * FROM {name}")
            if any(_holds(value, marker) for row in cursor.fetchall() for value in row):
                found.append(table)
    return found


def _holds(value: object, marker: str) -> bool:
    if isinstance(value, (bytes, memoryview)):
        return marker.encode() in bytes(value)
    return marker in str(value)


def found(text: str) -> list[str]:
    results = index().search(text, reader(anonymous()), kinds=["article"])
    return [hit.title for hit in results.hits]


def test_a_letter_becomes_a_page_lists_a_feed_and_a_hit(public: PublicNode) -> None:
    table = public.file("一号泵站\n巡查".encode(), "巡查 表?.txt")
    fact = public.publish(public.article(files=(table,)))
    path = article_path(fact.article)
    page = body(public, path)
    assert "<h2>一、提高认识</h2>" in page and "411600/2026-00001" in page
    assert "演示站点，内容为虚构" in page
    for place in ("/", "/zcwj/", "/zcwj/feed.atom", "/sitemap-202611.xml"):
        if place.startswith("/sitemap"):
            place = f"/sitemap-{path.split('/')[2]}.xml"
        assert path in body(public, place), place
    (href,) = re.findall(r'href="(/files/[^"]+)"', page)
    assert "%" in href  # Chinese and space are encoded; ? and the like are gone
    kept = public.store.read(unquote(href))
    assert kept is not None and kept.body == "一号泵站\n巡查".encode()
    for words in ("防汛", "周政办〔2026〕12号", "泵站", "准备工作"):
        assert found(words) == [f"{fact.title} {fact.document_number}"], words
    told = stage.told(messages.Baked)
    assert [(item.version, urlsplit(item.url).path) for item in told] == [(1, path)]
    assert stage.letters() == [("portal.baked", stage.CITY)]


def test_withdrawn_means_nowhere_on_this_node(public: PublicNode) -> None:
    attached = public.file(f"附件{MARKER}".encode(), f"{MARKER}.txt")
    fact = public.publish(
        public.article(
            title=f"标题{MARKER}", summary=MARKER, body=f"正文{MARKER}", files=(attached,)
        )
    )
    others = [public.publish(public.article(title=f"别的通知{n}")) for n in range(3)]
    assert where_found(MARKER, public.home) and database_holds(MARKER)
    assert found(MARKER)

    public.withdraw(fact)

    assert where_found(MARKER, public.home) == []
    assert database_holds(MARKER) == []
    if connection.vendor == "sqlite":  # the files of the database itself, its log included
        database = Path(connection.settings_dict["NAME"])
        for file in database.parent.glob(f"{database.name}*"):
            assert MARKER.encode() not in file.read_bytes(), file.name
    assert found(MARKER) == [] and len(found("别的通知")) == 3
    assert public.store.read(article_path(fact.article)) is None
    assert not StoredFile.objects.filter(pk=attached.sha256).exists()
    assert not files.path_of(attached.sha256).exists()
    assert all(public.store.read(article_path(item.article)) for item in others)
    (gone,) = stage.told(messages.Removed)
    assert (gone.article, gone.version) == (fact.article, 1)
    assert bake.differences() == []


def test_the_exchange_keeps_its_numbers_but_not_the_words(public: PublicNode) -> None:
    fact = public.publish(public.article(body=MARKER))
    public.withdraw(fact)
    rows = Message.objects.filter(kind="portal.published")
    assert [bytes(row.body) for row in rows] == [b""]
    arrivals = list(Arrival.objects.order_by("sequence"))
    assert bytes(arrivals[0].envelope) == b""
    assert [item.sequence for item in arrivals] == [1, 2]
    assert all(bytes(item.digest) for item in arrivals)


def test_a_shared_file_stays_as_long_as_one_article_shows_it(public: PublicNode) -> None:
    shared = public.file("共用".encode(), "共用.txt")
    first = public.publish(public.article(files=(shared,)))
    second = public.publish(public.article(files=(shared,)))
    public.withdraw(first)
    assert files.exists(shared.sha256)
    assert public.store.read(f"/files/{shared.sha256}/共用.txt") is not None
    public.withdraw(second)
    assert not files.exists(shared.sha256)
    assert public.store.read(f"/files/{shared.sha256}/共用.txt") is None


def test_a_correction_replaces_the_page_and_forgets_the_old_words(public: PublicNode) -> None:
    fact = public.publish(public.article(title=f"旧{MARKER}", body=MARKER))
    later = fact.updated_at + timedelta(hours=2)
    given = {"article": fact.article, "version": 2, "updated_at": later, "title": "新标题"}
    public.publish(public.article(**given, column="tzgg"))
    page = body(public, article_path(fact.article))
    assert "新标题" in page and "更正：" in page and "通知公告" in page
    assert where_found(MARKER, public.home) == [] and database_holds(MARKER) == []
    assert "新标题" in body(public, "/tzgg/") and "新标题" not in body(public, "/zcwj/")
    assert bake.differences() == []


def test_late_and_repeated_letters_change_nothing(public: PublicNode) -> None:
    fact = public.article(version=2, title="第二版")
    public.publish(fact)
    public.publish(public.article(article=fact.article, version=1, title="第一版"))
    assert "第二版" in body(public, article_path(fact.article))
    public.withdraw(fact)
    public.publish(fact)  # overtaken by its own withdrawal
    assert not queries.online().exists()
    public.publish(public.article(article=fact.article, version=3, title="第三版"))
    assert "第三版" in body(public, article_path(fact.article))


def test_a_withdrawal_that_comes_first_keeps_the_article_out(public: PublicNode) -> None:
    fact = public.article()
    public.withdraw(fact)
    public.publish(fact)
    assert not queries.online().exists() and Removal.objects.count() == 1


def test_another_node_cannot_change_or_withdraw_an_article(public: PublicNode) -> None:
    fact = public.publish(public.article())
    changed = public.article(article=fact.article, version=9, title="篡改")
    public.arrive(changed, fact.article, origin="elsewhere")
    public.arrive(messages.Withdrawn(fact.article, 9), fact.article, origin="elsewhere")
    public.settle()
    assert "篡改" not in body(public, article_path(fact.article))
    assert Handling.objects.filter(dead=True).count() == 2


def test_files_that_are_not_here_are_asked_for(public: PublicNode) -> None:
    table = public.file("表".encode(), "表.txt")
    first = public.publish(public.article(files=(table,)))
    public.withdraw(first)
    second = public.publish(public.article(files=(table,)))
    assert not queries.online().exists()
    (lacking,) = stage.told(messages.Lacking)
    assert (lacking.article, lacking.missing) == (second.article, (table.sha256,))
    public.file("表".encode(), "表.txt")
    public.publish(second)
    assert queries.online().count() == 1


@pytest.mark.parametrize("field", ["title", "summary", "body", "source", "document_number"])
def test_nothing_a_document_says_becomes_markup(public: PublicNode, field: str) -> None:
    evil = "<script>alert(1)</script><img src=x>'\"&{{ site }}\x00\x0b\u202e"
    name = '"><svg onload=alert(3)>../../../etc/passwd.txt'
    attached = public.file(b"text", "x.txt")
    attached = type(attached)(attached.sha256, name, attached.size, attached.media_type)
    fact = public.publish(public.article(files=(attached,), **{field: evil}))
    path = article_path(fact.article)
    for place in (path, "/zcwj/", "/", "/zcwj/feed.atom"):
        page = body(public, place)
        assert "<script>alert" not in page and "<img src=x" not in page and "<svg" not in page
        assert "\x00" not in page and "\x0b" not in page and "\u202e" not in page
    inside = [item for item in public.store.paths() if item.startswith("/files/")]
    assert len(inside) == 1 and inside[0].count("/") == 3


def test_a_file_name_of_any_length_gets_an_address(public: PublicNode) -> None:
    attached = public.file(b"text", "x.txt")
    long = type(attached)(attached.sha256, "长" * 240 + ".txt", attached.size, "text/plain")
    public.publish(public.article(files=(long,)))
    assert any(path.startswith("/files/") for path in public.store.paths())


def test_a_column_unknown_here_is_tried_again_later(public: PublicNode) -> None:
    public.publish(public.article(column="nowhere"))
    assert not Article.objects.unlabelled("test").exists()
    handling = Handling.objects.get(reaction="portal.reactions.put_online")
    assert not handling.dead and "nowhere" in handling.error
