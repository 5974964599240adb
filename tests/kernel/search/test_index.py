"""One writer, many readers, and an index that can always be rebuilt."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from zhengtong.kernel.search import (
    BadEntry,
    Entry,
    Index,
    IndexBusy,
    IndexDamaged,
    IndexUnwritable,
    IndexWriter,
    Reader,
)

from .conftest import Build, Page


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONUTF8": "1"},
    )


def test_a_folder_without_index_is_searched_like_an_empty_one(
    tmp_path: Path, citizen: Reader
) -> None:
    index = Index(tmp_path / "none")
    assert not index.ready
    assert len(index) == 0
    assert index.search("防汛", citizen).total == 0


def test_nothing_is_applied_before_the_first_rebuild(tmp_path: Path, page: Page) -> None:
    with IndexWriter(tmp_path) as writer:
        assert writer.needs_rebuild
        with pytest.raises(IndexDamaged, match="rebuild"):
            writer.apply([page("防汛")])
        writer.rebuild([])
        assert not writer.needs_rebuild


def test_the_index_of_another_version_is_rebuilt_and_not_read(
    tmp_path: Path, build: Build, page: Page, citizen: Reader
) -> None:
    index = build([page("防汛")])
    (tmp_path / "current").write_text("v0-000001\n")
    assert not index.ready
    assert index.search("防汛", citizen).total == 0
    with IndexWriter(tmp_path) as writer:
        assert writer.needs_rebuild


def test_applying_twice_is_applying_once(tmp_path: Path, page: Page, citizen: Reader) -> None:
    entries = [page(f"防汛{n}") for n in range(10)]
    index = Index(tmp_path)
    with IndexWriter(tmp_path) as writer:
        writer.rebuild(entries[:3])
        for _ in range(2):
            writer.apply(entries, deletes=[entries[0].urn, "urn:unknown"])
            writer.commit()
            assert len(index) == index.search("防汛", citizen).total == 9


def test_a_later_entry_replaces_the_earlier_in_the_same_batch(
    tmp_path: Path, page: Page, citizen: Reader
) -> None:
    with IndexWriter(tmp_path) as writer:
        writer.rebuild([])
        writer.apply([page("防汛旧题", urn="urn:x"), page("防汛新题", urn="urn:x")])
        writer.commit()
    assert [hit.title for hit in Index(tmp_path).search("防汛", citizen).hits] == ["防汛新题"]


def test_changes_appear_on_commit_and_not_before(
    tmp_path: Path, page: Page, citizen: Reader
) -> None:
    index = Index(tmp_path)
    with IndexWriter(tmp_path) as writer:
        writer.rebuild([])
        writer.apply([page("防汛")])
        assert index.search("防汛", citizen).total == 0
        writer.commit()
        assert index.search("防汛", citizen).total == 1
        writer.apply([page("防汛演练")])
    assert index.search("防汛", citizen).total == 1  # closed without commit


def test_there_is_one_writer_at_a_time(tmp_path: Path) -> None:
    with IndexWriter(tmp_path) as writer:
        with pytest.raises(IndexBusy):
            IndexWriter(tmp_path)
        writer.rebuild([])
        answer = python(
            "import sys, pathlib\n"
            "from zhengtong.kernel.search import IndexWriter\n"
            "IndexWriter(pathlib.Path(sys.argv[1]))",
            str(tmp_path),
        )
        assert "IndexBusy" in answer.stderr
    IndexWriter(tmp_path).close()


def test_a_closed_writer_says_so(tmp_path: Path) -> None:
    writer = IndexWriter(tmp_path)
    writer.rebuild([])
    writer.close()
    writer.close()
    with pytest.raises(IndexUnwritable, match="closed"):
        writer.commit()


def test_a_killed_writer_leaves_its_last_commit_and_no_lock(
    tmp_path: Path, citizen: Reader
) -> None:
    answer = python(
        "import os, sys, pathlib, datetime\n"
        "from zhengtong.kernel.search import Entry, IndexWriter\n"
        "now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)\n"
        "def e(n): return Entry(f'urn:{n}', 'a', '防汛', '', 'o', now, level=0, open=True)\n"
        "w = IndexWriter(pathlib.Path(sys.argv[1]))\n"
        "w.rebuild([e(1)]); w.apply([e(2)]); w.commit(); w.apply([e(3)])\n"
        "os.kill(os.getpid(), 9)",
        str(tmp_path),
    )
    assert answer.returncode == -9, answer.stderr
    assert Index(tmp_path).search("防汛", citizen).total == 2
    with IndexWriter(tmp_path) as writer:
        assert not writer.needs_rebuild


def test_readers_go_on_during_a_rebuild(tmp_path: Path, page: Page, citizen: Reader) -> None:
    index = Index(tmp_path)
    totals: list[int] = []

    def entries() -> Iterator[Entry]:
        for number in range(20):
            totals.append(index.search("防汛", citizen).total)
            yield page(f"防汛{number}")

    with IndexWriter(tmp_path) as writer:
        writer.rebuild([page("防汛")])
        assert writer.rebuild(entries()) == 20
        assert totals == [1] * 20
        assert index.search("防汛", citizen).total == 20
        writer.apply([page("防汛")])
        writer.commit()
        assert index.search("防汛", citizen).total == 21
    assert len(list(tmp_path.glob("v*"))) == 1


def test_a_rebuild_that_fails_leaves_the_old_index(
    tmp_path: Path, page: Page, citizen: Reader
) -> None:
    def entries() -> Iterator[Entry]:
        yield page("防汛")
        yield page("防汛", level=9)

    index = Index(tmp_path)
    with IndexWriter(tmp_path) as writer:
        writer.rebuild([page("防汛")])
        with pytest.raises(BadEntry):
            writer.rebuild(entries())
        writer.apply([page("防汛")])
        writer.commit()
    assert index.search("防汛", citizen).total == 2
    assert len(list(tmp_path.glob("v*"))) == 1


def test_many_threads_search_while_the_index_is_rebuilt_under_them(
    tmp_path: Path, page: Page, citizen: Reader
) -> None:
    index = Index(tmp_path)
    entries = [page(f"防汛{n}") for n in range(30)]
    seen: set[int] = set()
    faults: list[BaseException] = []
    over = threading.Event()

    def search() -> None:
        try:
            while not over.is_set():
                seen.add(index.search("防汛", citizen).total)
        except BaseException as error:
            faults.append(error)

    with IndexWriter(tmp_path) as writer:
        writer.rebuild(entries)
        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            writer.rebuild(entries)
        over.set()
        for thread in threads:
            thread.join()
    assert faults == []
    assert seen == {30}


@pytest.mark.parametrize("harm", ["meta", "files", "folder"])
def test_a_damaged_index_is_named_and_a_rebuild_mends_it(
    tmp_path: Path, build: Build, page: Page, citizen: Reader, harm: str
) -> None:
    build([page("防汛")])
    (generation,) = tmp_path.glob("v*")
    if harm == "meta":
        (generation / "meta.json").write_text("{")
    for file in list(generation.iterdir()):
        if harm == "folder" or (harm == "files" and file.suffix == ".term"):
            file.unlink()
    with pytest.raises(IndexDamaged):
        Index(tmp_path).search("防汛", citizen)
    with IndexWriter(tmp_path) as writer:
        assert writer.needs_rebuild
        writer.rebuild([page("防汛")])
    assert Index(tmp_path).search("防汛", citizen).total == 1


def test_when_the_disk_refuses_the_last_commit_stays(
    tmp_path: Path, page: Page, citizen: Reader
) -> None:
    with IndexWriter(tmp_path) as writer:
        writer.rebuild([page("防汛")])
    answer = python(
        "import sys, pathlib, datetime, resource, random\n"
        "from zhengtong.kernel.search import Entry, IndexUnwritable, IndexWriter\n"
        "now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)\n"
        "chance = random.Random(1)\n"
        "def e(n):\n"
        "    body = ''.join(chr(chance.randrange(0x4E00, 0x9FA5)) for _ in range(3000))\n"
        "    return Entry(f'urn:{n}', 'a', '防汛', body, 'o', now, level=0, open=True)\n"
        "w = IndexWriter(pathlib.Path(sys.argv[1]))\n"
        "w.apply([])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try:\n"
        "    w.apply(e(n) for n in range(50)); w.commit()\n"
        "except IndexUnwritable as error:\n"
        "    print('refused'); w.close(); w.close()\n",
        str(tmp_path),
    )
    assert answer.stdout.strip() == "refused", answer.stderr
    assert Index(tmp_path).search("防汛", citizen).total == 1
    with IndexWriter(tmp_path) as writer:
        writer.apply([page("防汛")])
        writer.commit()
    assert Index(tmp_path).search("防汛", citizen).total == 2


def test_a_process_that_does_not_search_loads_neither_engine_nor_dictionary() -> None:
    answer = python(
        "import sys, zhengtong.kernel.search\n"
        "print([m for m in ('tantivy', 'rjieba', 'django') if m in sys.modules])"
    )
    assert answer.stdout.strip() == "[]", answer.stderr
