"""The baked pages: tags, feeds, lists, and the proof that baking piecemeal equals baking it all."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zhengtong.capabilities.portal import messages, queries
from zhengtong.capabilities.portal.commands import baking
from zhengtong.capabilities.portal.domain import address
from zhengtong.capabilities.portal.domain.address import article_path
from zhengtong.capabilities.portal.models import Article, BakeCheck, Column, Need, Removal, Stale
from zhengtong.capabilities.portal.tests.stage import PublicNode
from zhengtong.capabilities.portal.web import bake, pages
from zhengtong.kernel import moment
from zhengtong.kernel.baked import BakedStore
from zhengtong.kernel.messages.models import Arrival, Lease, Message

SITE = {"SiteName", "SiteDomain"}
COLUMN = {"ColumnName", "ColumnDescription", "ColumnKeywords", "ColumnType"}
CONTENT = {"ColumnName", "ColumnType", "ArticleTitle", "PubDate", "ContentSource"}


class Reader(HTMLParser):
    """What a page's head says, what it links to, and its headings in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.meta: dict[str, str] = {}
        self.links: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.lang = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.lang = found.get("lang", "")
        if tag == "meta" and "name" in found:
            self.meta[found["name"]] = found.get("content", "")
        if tag in ("a", "link") and "href" in found:
            self.links.append(found["href"])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in found:
            self.ids.append(found["id"])


def baked_pages(public: PublicNode) -> dict[str, Reader]:
    found = {}
    for path in public.store.paths():
        page = public.store.read(path)
        if page is not None and page.content_type.startswith("text/html"):
            found[path] = Reader(page.body.decode())
    return found


@pytest.fixture
def short_lists(monkeypatch: pytest.MonkeyPatch) -> int:
    """Lists of three, so that few articles fill many pages."""
    monkeypatch.setattr(address, "PAGE_SIZE", 3)
    return 3


def fill(public: PublicNode, number: int, **given: Any) -> list[Any]:
    made = []
    for serial in range(1, number + 1):
        fact = public.article(title=f"第{serial}号通知", **given)
        public.arrive(fact, fact.article)
        made.append(fact)
    public.settle()
    return made


def test_every_page_carries_the_tags_a_government_page_must(public: PublicNode) -> None:
    table = public.file("表".encode(), "表.txt")
    public.publish(public.article(files=(table,)))
    public.publish(public.article(site="shuili", column="wenjian"))
    found = baked_pages(public)
    assert len(found) > 15
    for path, page in found.items():
        wanted = SITE | (CONTENT if path.startswith("/content/") else COLUMN)
        if path == "/404.html":
            wanted = SITE
        missing = {name for name in wanted if not page.meta.get(name)}
        assert not missing, f"{path}: {missing}"
        assert page.lang == "zh-CN" and "main" in page.ids and "#main" in page.links
        assert len(page.ids) == len(set(page.ids)), f"{path}: an id twice"
        assert page.headings[0] == 1 or path in ("/",), path
        steps = zip(page.headings, page.headings[1:], strict=False)
        assert all(after - before <= 1 for before, after in steps), f"{path}: {page.headings}"
        if path.startswith("/content/"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", page.meta["PubDate"])
            assert page.meta["PubDate"] == "2026-06-02 09:30"  # China's time


def test_no_link_between_baked_pages_is_dead(public: PublicNode) -> None:
    from urllib.parse import unquote

    table = public.file("表".encode(), "表 格.txt")
    fill(public, 3, files=(table,))
    standing = set(public.store.paths())
    for path, page in baked_pages(public).items():
        for link in page.links:
            if link.startswith("/") and not link.startswith(("/static/", "/search")):
                assert unquote(link) in standing, f"{path} → {link}"


def test_feeds_and_site_maps_are_well_formed_and_complete(public: PublicNode) -> None:
    evil = fill(public, 3, summary="a < b & c ]]> \x08 “引号”")
    atom = "{http://www.w3.org/2005/Atom}"
    page = public.store.read("/zcwj/feed.atom")
    assert page is not None and page.content_type.startswith("application/atom+xml")
    feed = ET.fromstring(page.body)
    entries = feed.findall(f"{atom}entry")
    assert [item.findtext(f"{atom}title") for item in entries] == [
        "第3号通知",
        "第2号通知",
        "第1号通知",
    ]
    assert feed.findtext(f"{atom}updated") == "2026-06-02T09:30:00+08:00"
    assert entries[0].findtext(f"{atom}summary") == "a < b & c ]]>  “引号”"
    listed = set()
    index = public.store.read("/sitemap.xml")
    assert index is not None
    for item in ET.fromstring(index.body).iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc"):
        assert item.text is not None
        part = public.store.read(item.text.removeprefix("https://www.zhoukou.example"))
        assert part is not None
        listed |= {loc.text for loc in ET.fromstring(part.body).iter() if loc.tag.endswith("}loc")}
    assert {f"https://www.zhoukou.example{article_path(item.article)}" for item in evil} <= listed
    for path in public.store.paths():
        if path.endswith((".atom", ".xml")):
            document = public.store.read(path)
            assert document is not None
            ET.fromstring(document.body)


def test_a_new_article_rewrites_no_numbered_page(public: PublicNode, short_lists: int) -> None:
    fill(public, 3 * short_lists - 1)
    before = {path: public.store.read(path) for path in public.store.paths()}
    assert "/zcwj/1.html" in before and "/zcwj/2.html" not in before
    new = public.publish(public.article(title="新"))
    changed = {path for path in public.store.paths() if public.store.read(path) != before.get(path)}
    month = article_path(new.article).split("/")[2]
    allowed = {article_path(new.article), "/zcwj/", "/zcwj/feed.atom", "/", "/sitemap.xml"}
    assert changed <= allowed | {f"/sitemap-{month}.xml"}


def test_every_article_stands_in_its_column_once(public: PublicNode, short_lists: int) -> None:
    made = fill(public, 4 * short_lists + 2)
    public.withdraw(made[5])
    public.withdraw(made[-1])
    seen: list[str] = []
    path, steps = "/zcwj/", 0
    while path and steps < 10:
        page = public.store.read(path)
        assert page is not None
        text = page.body.decode()
        seen += re.findall(r'<h3><a href="(/content/[^"]+)"', text)
        older = re.search(r'href="([^"]+)" rel="next"', text)
        path, steps = older[1] if older else "", steps + 1
    kept = [item for item in made if item not in (made[5], made[-1])]
    assert seen == [article_path(item.article) for item in reversed(kept)]


def test_empty_columns_say_what_to_do(public: PublicNode) -> None:
    public.settle()
    for path in ("/bsfw/", "/hdjl/", "/tzgg/"):
        page = public.store.read(path)
        assert page is not None and "还没有内容" in page.body.decode()


def test_a_site_has_its_own_colour_and_home(public: PublicNode) -> None:
    public.publish(public.article(site="shuili", column="dongtai", title="堤防巡查"))
    home = public.store.read("/shuili/")
    assert home is not None
    assert "堤防巡查" in home.body.decode() and "/shuili/site.css" in home.body.decode()
    assert public.store.read("/shuili/site.css") is not None
    assert public.store.read("/zhoukou/") is None


def test_the_night_check_repairs_and_remembers(public: PublicNode) -> None:
    fact = public.publish(public.article())
    bake.check()
    assert bake.check() == []
    path = article_path(fact.article)
    public.store.remove(path)
    public.store.write("/zcwj/99.html", b"left over", "text/html")
    public.store.write("/static/kept.css", b"a{}", "text/css")
    assert set(bake.differences()) == {path, "/zcwj/99.html"}
    assert "2 public pages" in next(bake.examine())
    assert set(bake.check()) == {path, "/zcwj/99.html"}
    assert BakeCheck.objects.first().differences  # type: ignore[union-attr]
    assert bake.differences() == [] and public.store.read("/static/kept.css") is not None


def test_the_workers_job_comes_to_rest(public: PublicNode) -> None:
    public.take_in()
    for _ in range(20):
        public.indexer.work()
        if not bake.work():
            break
    assert not bake.work() and bake.differences() == []
    assert not Lease.objects.filter(name=bake.LEASE, until__gt=moment.now()).exists()


Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "publish", "correct", "move", "withdraw", "bake"]),
        st.integers(0, 30),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=14,
)
COLUMNS = (("zhoukou", "zcwj"), ("zhoukou", "tzgg"), ("shuili", "wenjian"))


@given(plan=steps, size=st.integers(1, 2))
@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_baking_piecemeal_equals_baking_everything(
    public: PublicNode, tmp_path: Path, plan: list[Step], size: int
) -> None:
    """Random publications, corrections, moves and withdrawals, baked now and then."""
    _start_over(public)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(address, "PAGE_SIZE", size)  # so that a short play fills many lists
        _play(public, plan)
        shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
        fresh = BakedStore(tmp_path / "fresh")
        bake.bake(pages.every_path(queries.structure()), fresh)
        assert _tree(public.store) == _tree(fresh)
        assert bake.differences() == []


def _start_over(public: PublicNode) -> None:
    for model in (Need, Stale, Removal, Arrival, Message):
        model.objects.all().delete()
    Article.objects.unlabelled("test").delete()
    Column.objects.update(last_place=0)
    shutil.rmtree(public.store.root, ignore_errors=True)
    baking.touch(f"site:{site.key}" for site, _ in queries.structure().sites)
    public.sequence = 0


def _play(public: PublicNode, plan: list[Step]) -> None:
    facts: list[Any] = []
    for act, pick, where in plan:
        site, column = COLUMNS[where]
        known = facts[pick % len(facts)] if facts else None
        if act == "publish":
            known = public.article(site=site, column=column, title=f"第{len(facts)}篇")
            facts.append(known)
        elif act == "bake":
            while bake.bake_waiting() or public.indexer.work():
                pass
            continue
        elif known is None:
            continue
        elif act == "withdraw":
            public.arrive(messages.Withdrawn(known.article, known.version), known.article)
            public.take_in()
            continue
        else:
            site, column = (site, column) if act == "move" else (known.site, known.column)
            place = facts.index(known)
            known = public.article(
                article=known.article,
                version=known.version + 1,
                site=site,
                column=column,
                title=f"{known.title}改",
            )
            facts[place] = known
        public.arrive(known, known.article)
        public.take_in()
    public.settle()


def _tree(store: BakedStore) -> dict[str, bytes]:
    found = {}
    for path in store.paths():
        page = store.read(path)
        assert page is not None
        found[path] = page.body
    return found
