"""The folder of baked pages: what publishing and withdrawing leave on the disk."""

import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhengtong.kernel.baked import BadPath, BakedStore, relative_file

HTML = "text/html; charset=utf-8"
PAGE = ("<p>关于做好防汛工作的通知</p>" * 200).encode()


def on_disk(root: Path) -> set[str]:
    """Every visible file of the tree."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {p.relative_to(root).as_posix() for p in files if not p.name.startswith(".")}


def test_a_page_is_written_listed_read_and_withdrawn(tmp_path: Path) -> None:
    store = BakedStore(tmp_path)
    etag = store.write("/政策/2026/1.html", PAGE, HTML)
    store.write("/", b"<h1>home</h1>", "text/html")
    read = store.read("/政策/2026/1.html")
    assert read is not None
    assert (read.body, read.content_type, read.etag) == (PAGE, HTML, etag)
    assert sorted(store.paths()) == ["/", "/政策/2026/1.html"]
    assert gzip.decompress((tmp_path / "政策/2026/1.html.gz").read_bytes()) == PAGE

    assert store.remove("/政策/2026/1.html") is True
    assert store.remove("/政策/2026/1.html") is False
    assert store.read("/政策/2026/1.html") is None
    assert on_disk(tmp_path) == {"index.html"}
    assert not (tmp_path / "政策").exists()


def test_rewriting_leaves_no_twin_of_older_content(tmp_path: Path) -> None:
    store = BakedStore(tmp_path)
    store.write("/a.html", PAGE, HTML)
    store.write("/a.html", b"short", HTML)
    assert on_disk(tmp_path) == {"a.html"}
    store.write("/a.html", PAGE + b"!", HTML)
    twin, main = tmp_path / "a.html.gz", tmp_path / "a.html"
    assert gzip.decompress(twin.read_bytes()) == main.read_bytes() == PAGE + b"!"
    assert twin.stat().st_mtime_ns == main.stat().st_mtime_ns


def test_what_a_crash_left_half_written_is_swept_away(tmp_path: Path) -> None:
    store = BakedStore(tmp_path)
    (tmp_path / ".new" / "half").write_bytes(b"half a page that was never published")
    assert list(store.paths()) == []
    store.write("/a.html", b"whole", HTML)
    assert list((tmp_path / ".new").iterdir()) == []


def test_many_writers_of_one_page_leave_one_whole_page(tmp_path: Path) -> None:
    bodies = [PAGE + str(n).encode() for n in range(24)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda b: BakedStore(tmp_path).write("/a/b.html", b, HTML), bodies))
    body = (tmp_path / "a/b.html").read_bytes()
    assert body in bodies
    assert gzip.decompress((tmp_path / "a/b.html.gz").read_bytes()) == body


def test_a_page_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    store = BakedStore(tmp_path)
    store.write("/a.html", PAGE, HTML)
    with pytest.raises(BadPath):
        store.write("/a.html/b.html", PAGE, HTML)
    store.write("/c/d.html", PAGE, HTML)
    (tmp_path / "e.html").mkdir()
    with pytest.raises(BadPath):
        store.write("/e.html", PAGE, HTML)
    assert (store.read("/a.html/b.html"), store.remove("/a.html/b.html")) == (None, False)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/a.exe", "application/x-msdownload"), ("/a.html", "text/plain"), ("/a", "text/html")],
)
def test_a_suffix_that_does_not_stand_for_the_type_is_refused(
    tmp_path: Path, path: str, content_type: str
) -> None:
    with pytest.raises(BadPath):
        BakedStore(tmp_path).write(path, b"x", content_type)
    assert on_disk(tmp_path) == set()


@given(
    st.lists(
        st.sampled_from(["..", ".", "", "/", "\\", "a", ".git", "政", "\0", "x.gz", "~", "%2e%2e"])
        | st.text(max_size=4),
        max_size=6,
    ).map(lambda parts: "/" + "/".join(parts))
    | st.text(max_size=20)
)
def test_no_url_ever_leaves_the_root_or_names_a_hidden_file(path: str) -> None:
    try:
        inner = relative_file(path)
    except BadPath:
        return
    resolved = os.path.normpath(os.path.join("/root", inner))
    assert resolved == f"/root/{inner}"
    assert not any(segment.startswith(".") for segment in inner.split("/"))
    assert not inner.endswith(".gz")
