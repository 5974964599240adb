"""Baked pages in memory: when the disk is asked again and what memory is bounded by."""

from pathlib import Path

from zhengtong.faces.server.pages import BakedPages
from zhengtong.kernel.baked import BakedStore

HTML = "text/html"


def nothing(name: str) -> None:
    """A request without headers."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_disk_is_asked_again_only_after_a_quarter_second(tmp_path: Path) -> None:
    store, clock = BakedStore(tmp_path), Clock()
    pages = BakedPages(tmp_path, clock=clock)
    store.write("/a.html", b"first", HTML)
    first = pages.answer("/a.html", nothing)
    assert first is not None and first.body == b"first"
    store.write("/a.html", b"second", HTML)
    assert pages.answer("/a.html", nothing) is first
    clock.now = 0.3
    second = pages.answer("/a.html", nothing)
    assert second is not None and second.body == b"second"
    store.remove("/a.html")
    clock.now = 0.6
    assert pages.answer("/a.html", nothing) is None


def test_memory_is_bounded_and_an_evicted_page_is_still_served(tmp_path: Path) -> None:
    store, clock = BakedStore(tmp_path), Clock()
    pages = BakedPages(tmp_path, memory=60_000, clock=clock)
    for number in range(20):
        store.write(f"/{number}.png", bytes([number]) * 10_000, "image/png")
    for number in [*range(20), *range(20)]:
        clock.now += 1
        answer = pages.answer(f"/{number}.png", nothing)
        assert answer is not None and answer.body == bytes([number]) * 10_000
        assert pages.held <= 60_000


def test_a_large_file_is_not_kept(tmp_path: Path) -> None:
    BakedStore(tmp_path).write("/v.mp4", b"v" * 50_000, "video/mp4")
    pages = BakedPages(tmp_path, streamed_from=10_000)
    answer = pages.answer("/v.mp4", nothing)
    assert answer is not None and answer.file == str(tmp_path / "v.mp4")
    assert pages.held < 10_000


def test_the_first_root_that_has_the_file_wins(tmp_path: Path) -> None:
    one, two = BakedStore(tmp_path / "one"), BakedStore(tmp_path / "two")
    one.write("/a.css", b"one", "text/css")
    two.write("/a.css", b"two", "text/css")
    two.write("/b.css", b"two", "text/css")
    pages = BakedPages(one.root, two.root)
    found = [pages.answer(path, nothing) for path in ("/a.css", "/b.css", "/c.css")]
    assert [answer and answer.body for answer in found] == [b"one", b"two", None]


def test_only_hashed_static_names_may_be_kept_by_the_browser(tmp_path: Path) -> None:
    store = BakedStore(tmp_path)
    store.write("/static/css/site.0123456789ab.css", b"p{}", "text/css")
    store.write("/files/0123456789ab.0123456789ab.css", b"p{}", "text/css")
    pages = BakedPages(tmp_path)
    for path, word in (
        ("/static/css/site.0123456789ab.css", "immutable"),
        ("/files/0123456789ab.0123456789ab.css", "no-cache"),
    ):
        answer = pages.answer(path, nothing)
        assert answer is not None and word in dict(answer.headers)["cache-control"]
