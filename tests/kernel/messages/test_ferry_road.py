"""Two nodes with nothing between them but discs that a person carries."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engines import Engine
from tests.federation.city import ROOT, City, Site, environment, office_id, zhengtong
from tests.federation.disk import small_disk
from zhengtong.faces.cli.ferry import size_of

pytestmark = pytest.mark.long
CITY, COUNTY = "市府办", "扶沟县"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, durable_engine: Engine) -> Iterator[City]:
    """A city and a county that have met by an exchange of discs; no process of theirs runs."""
    made = City(tmp_path_factory.mktemp("city"), durable_engine)
    made.site("centre")
    made.site("fugou", "centre", by_ferry=True)
    made.build({"centre": [CITY], "fugou": [COUNTY]})
    centre, fugou = made.sites["centre"], made.sites["fugou"]
    choose_ferry(centre, fugou)
    carry(centre, fugou)
    carry(fugou, centre)
    yield made
    made.close()


@pytest.fixture
def city(pair: City) -> Iterator[City]:
    """The two, between whom nothing is left under way afterwards."""
    yield pair
    centre, fugou = pair.sites.values()
    for site, to in ((centre, fugou), (fugou, centre)):
        folder = site.folder.parent / f"last-{time.monotonic_ns()}"
        if ferry(site, "export", to.name, "--to", folder, "--again").status == 0:
            bring(to, folder)


@dataclass
class Said:
    """What a command answered."""

    status: int
    out: str
    errors: str


def choose_ferry(site: Site, child: Site) -> None:
    """As the administrator of the parent does it; the child's own file says so."""
    done = Said(*site.do("zhengtong", words=["node", "road", child.name, "ferry"]))
    assert done.status == 0, done


def ferry(site: Site, *words: str | Path) -> Said:
    return Said(*site.do("zhengtong", words=["ferry", *map(str, words)]))


def export(site: Site, to: Site, *more: str) -> Path:
    """What `zhengtong ferry export` writes for the other: a new folder."""
    folder = site.folder.parent / f"disc-{time.monotonic_ns()}"
    done = ferry(site, "export", to.name, "--to", folder, *more)
    assert done.status == 0, done
    return folder


def bring(site: Site, *places: Path) -> str:
    """What `zhengtong ferry import` says; it succeeds, and the node reacts."""
    done = ferry(site, "import", *places)
    assert done.status == 0, done
    site.do("settle")
    return done.out


def carry(site: Site, to: Site, *more: str) -> Path:
    folder = export(site, to, *more)
    bring(to, folder)
    return folder


def send(site: Site, sender: str = CITY, to: str = COUNTY, **given: Any) -> str:
    return str(
        site.do(
            given.pop("act", "send"),
            clerk=f"{sender}办事员",
            leader=f"{sender}领导",
            to=[str(office_id(to))],
            title="关于做好防汛工作",
            **given,
        )
    )


def word(site: Site, document: str) -> str:
    words = site.do("words", clerk=f"{CITY}办事员", document=document)
    return str(words[COUNTY])


def states(site: Site) -> list[str]:
    return [voyage["state"] for voyage in site.do("voyages")]


def received(site: Site, *documents: str) -> list[int]:
    """How often each of these stands in the county's register."""
    register = site.do("received", clerk=f"{COUNTY}办事员")
    return [register.get(document, 0) for document in documents]


def test_a_document_goes_over_and_its_receipts_come_back(city: City) -> None:
    centre, fugou = city.sites.values()
    document = send(centre, attachment="水位 12.3 米")
    before = word(centre, document)
    carry(centre, fugou)
    assert received(fugou, document) == [1]
    assert fugou.do("attachment_of", clerk=f"{COUNTY}办事员", document=document) == "水位 12.3 米"
    assert states(centre)[0] == "made"
    assert "回盘" in centre.do("voyages")[0]["next"]

    carry(fugou, centre)
    assert before != word(centre, document) == "已送达"
    assert states(centre)[1] == "returned"

    fugou.do("sign_for", clerk=f"{COUNTY}办事员", document=document)
    carry(fugou, centre)
    assert word(centre, document) == "已签收"
    for site in (centre, fugou):
        verbs = [
            site.do("audited", verb=f"ferry.{verb}") for verb in ("export", "made", "imported")
        ]
        assert all(verbs), verbs


def test_a_lost_disc_loses_nothing(city: City) -> None:
    centre, fugou = city.sites.values()
    first = send(centre)
    lost = export(centre, fugou)
    second = send(centre)
    again = export(centre, fugou, "--again")
    assert states(centre)[:2] == ["made", "lost"]
    bring(fugou, again)
    assert received(fugou, first, second) == [1, 1]
    bring(fugou, lost)  # it turns up after all
    assert received(fugou, first, second) == [1, 1]
    carry(fugou, centre)
    assert {word(centre, first), word(centre, second)} == {"已送达"}


def test_a_voyage_without_the_one_before_it_waits_for_it(city: City) -> None:
    centre, fugou = city.sites.values()
    first = send(centre)
    early = export(centre, fugou)
    second = send(centre)
    late = export(centre, fugou)
    done = ferry(fugou, "import", late)
    assert done.status == 1
    assert received(fugou, first, second) == [0, 0]
    bring(fugou, early)
    assert received(fugou, first, second) == [1, 1]
    assert states(fugou)[:2] == ["imported", "imported"]


def test_receipts_that_a_later_voyage_has_overtaken_are_asked_for_again(city: City) -> None:
    centre, fugou = city.sites.values()
    document = send(centre)
    carry(centre, fugou)
    early = export(fugou, centre)  # with the receipts
    send(fugou, COUNTY, CITY)
    late = export(fugou, centre)
    bring(centre, late)
    bring(centre, early)
    assert centre.do("voyages")[2]["state"] == "made", "its receipts were overtaken"
    carry(centre, fugou)
    carry(fugou, centre)
    assert word(centre, document) == "已送达"
    leaving = [voyage["state"] for voyage in centre.do("voyages") if voyage["leaving"]]
    assert leaving[1] == "returned"


def test_importing_again_is_harmless(city: City) -> None:
    centre, fugou = city.sites.values()
    document = send(centre)
    folder = carry(centre, fugou)
    for _ in range(2):
        bring(fugou, folder)
    assert received(fugou, document) == [1]
    assert states(fugou)[0] == "imported"
    assert not list((fugou.folder / "ferry" / "in").iterdir())


@pytest.fixture
def large(city: City) -> tuple[Site, Site, str, Path]:
    """A document with 40 MiB under way on three volumes, the files of which are in a folder."""
    centre, fugou = city.sites.values()
    document = send(centre, act="send_large", mebibytes=40)
    return centre, fugou, document, export(centre, fugou, "--volume", "17MB")


def is_whole(fugou: Site, document: str, mebibytes: int = 40) -> bool:
    clerk = f"{COUNTY}办事员"
    size = fugou.do("attachment_size", clerk=clerk, document=document)
    return bool(size == mebibytes << 20) and received(fugou, document) == [1]


def test_volumes_may_come_one_by_one_in_any_order(large: tuple[Site, Site, str, Path]) -> None:
    centre, fugou, document, folder = large
    first, second, third = sorted(folder.iterdir())
    assert all(path.stat().st_size <= 17_000_000 for path in folder.iterdir())
    assert "bring volume 1, 2 of 3" in bring(fugou, third)
    assert "bring volume 2 of 3" in bring(fugou, first)
    assert received(fugou, document) == [0]
    assert "第 2 卷（共 3 卷）" in fugou.do("voyages")[0]["next"]
    bring(fugou, second)
    assert is_whole(fugou, document)
    carry(fugou, centre)
    assert word(centre, document) == "已送达"


def test_a_damaged_volume_is_named_and_a_good_copy_of_it_completes_the_voyage(
    large: tuple[Site, Site, str, Path],
) -> None:
    _, fugou, document, folder = large
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)
    second = sorted(folder.iterdir())[1]
    with second.open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"\0\0\0\0")
    done = ferry(fugou, "import", folder)
    assert done.status == 1
    block = 65536 + (5_000_000 - 65536) // 2**20 * 2**20
    assert f"volume 2 of 3, bytes {block}–{block + 2**20 - 1}" in done.errors
    assert "bring volume 2 of 3" in done.out
    assert "truncated" not in done.errors
    bring(fugou, sorted(copy.iterdir())[1])
    assert is_whole(fugou, document)


def test_an_import_killed_again_and_again_goes_on_where_it_stopped(
    large: tuple[Site, Site, str, Path],
) -> None:
    centre, fugou, document, folder = large
    stands, deaths = 0, 0
    while stands < 40_000_000 and deaths < 3:
        importing = start(fugou, "import", folder)
        deadline = time.monotonic() + 60
        while importing.poll() is None and done_bytes(fugou) <= stands:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if importing.poll() is None:
            importing.send_signal(signal.SIGKILL)
            deaths += 1
        importing.wait()
        assert done_bytes(fugou) >= stands, "what was taken in is not taken in again"
        stands = done_bytes(fugou)
    assert deaths > 1
    bring(fugou, folder)
    assert is_whole(fugou, document)
    carry(fugou, centre)
    assert word(centre, document) == "已送达"


def start(site: Site, *words: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "zhengtong", "--node", site.node_file, "ferry", *words]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def done_bytes(site: Site) -> int:
    newest = site.do("voyages")[0]
    return 0 if newest["leaving"] else int(newest["done"])


def test_an_export_killed_leaves_nothing_and_the_next_carries_everything(city: City) -> None:
    centre, fugou = city.sites.values()
    document = send(centre, act="send_large", mebibytes=40)
    folder = centre.folder.parent / "killed"
    exporting = start(centre, "export", "fugou", "--to", folder)
    deadline = time.monotonic() + 60
    while not is_begun(centre):
        assert time.monotonic() < deadline and exporting.poll() is None
        time.sleep(0.02)
    exporting.send_signal(signal.SIGKILL)
    exporting.wait()
    assert not list(folder.glob("*.ferry"))
    carry(centre, fugou)
    assert states(centre)[:2] == ["made", "lost"]
    assert is_whole(fugou, document)


def is_begun(site: Site) -> bool:
    newest = site.do("voyages")[0]
    return bool(newest["state"] == "making" and newest["done"])


def test_a_full_medium_is_said_and_nothing_is_lost(city: City) -> None:
    centre, fugou = city.sites.values()
    document = send(centre, act="send_large", mebibytes=20)
    folder = centre.folder.parent / "stick"
    with small_disk(folder, 48, lambda: [centre.driver.pid] if centre.driver else []) as disk:
        folder.mkdir(exist_ok=True)
        disk.fill()
        done = ferry(centre, "export", "fugou", "--to", folder)
        assert done.status == 1
        assert "磁盘已满" in done.errors
        disk.free()
        assert not [path for path in folder.iterdir() if "ferry" in path.name]
        assert ferry(centre, "export", "fugou", "--to", folder).status == 0
        bring(fugou, folder)
    assert is_whole(fugou, document, 20)


# ── what may not leave, and what may not come in ──


def test_a_letter_above_a_lowered_ceiling_stays_here_and_holds_up_no_other(
    city: City, tmp_path: Path
) -> None:
    """It had its number, and was on a disc that was lost, when the county's ceiling was lowered."""
    centre, fugou = city.sites.values()
    document = send(centre, attachment="水位 12.3 米")
    centre.do("post_lane", node="fugou", lane=2, number=3, mark="behind", level=0)
    export(centre, fugou)
    centre.do("hold_to", node="fugou", level=0)
    carry(centre, fugou, "--again")
    assert fugou.do("heard", origin="centre", mark="behind") == {"2": [0, 1, 2]}
    assert received(fugou, document) == [0]
    assert centre.do("voyages")[0]["level"] == 0, "a disc of no level"
    assert word(centre, document) == "未交出", "at once, before any disc has come back"
    assert set(centre.do("refusals")) == {"withheld"}
    carry(fugou, centre)
    assert centre.do("counts")["unreceipted"] == 0
    assert states(centre)[1] == "returned"
    assert word(centre, document) == "未交出"

    proof = bytes.fromhex(centre.do("export_evidence", clerk=f"{CITY}办事员", document=document))
    (tmp_path / "evidence.cbor").write_bytes(proof)
    judged = zhengtong("verify", tmp_path / "evidence.cbor")
    assert judged.returncode == 0, judged.stdout
    assert "发信方没有交出这封信,于" in judged.stdout
    assert "号只以哈希列入,信件没有交出" in judged.stdout

    centre.do("hold_to", node="fugou", level=2)
    centre.do("send_again")
    carry(centre, fugou)
    assert received(fugou, document) == [1]
    assert fugou.do("attachment_of", clerk=f"{COUNTY}办事员", document=document) == "水位 12.3 米"
    carry(fugou, centre)
    assert word(centre, document) == "已送达"
    assert centre.do("alarms", node="fugou") == fugou.do("alarms", node="centre") == []


def test_nothing_above_our_own_ceiling_is_even_copied(city: City) -> None:
    centre, fugou = city.sites.values()
    send(centre)
    folder = export(centre, fugou)
    text = fugou.node_file.read_text()
    fugou.node_file.write_text(text.replace('zone = "private"', 'zone = "public"'))
    leave(fugou)
    done = ferry(fugou, "import", folder)
    fugou.node_file.write_text(text)
    leave(fugou)
    assert done.status == 1
    assert "above the ceiling" in done.errors
    assert "volume 1 of 1" in done.errors
    assert not (fugou.folder / "ferry" / "in").exists() or not list(
        (fugou.folder / "ferry" / "in").iterdir()
    )


def leave(site: Site) -> None:
    """Who acts on the node reads node.toml anew next time."""
    assert site.driver
    site.driver.kill()
    site.driver.wait()
    site.driver = None


def test_a_disc_for_another_node_and_one_of_a_stranger_are_refused(city: City) -> None:
    centre, fugou = city.sites.values()
    document = send(centre)
    folder = export(centre, fugou)
    done = ferry(centre, "import", folder)
    assert done.status == 1
    assert "unknown_sender" in done.errors or "not in this node's directory" in done.errors
    note = folder / "other.ferry"
    note.write_bytes(b"holiday pictures")
    done = ferry(fugou, "import", folder)
    assert done.status == 1
    assert "other.ferry" in done.errors
    fugou.do("settle")
    assert received(fugou, document) == [1], "the good volume beside it was taken in"


def test_with_nothing_to_say_no_disc_is_made(city: City) -> None:
    centre, _ = city.sites.values()
    done = ferry(centre, "export", "fugou", "--to", centre.folder.parent / "empty")
    assert done.status == 1
    assert "不必制作" in done.errors
    known = len(states(centre))
    again = ferry(centre, "export", "fugou", "--to", centre.folder.parent / "empty")
    assert "不必制作" in again.errors, "to have asked is no reason for a disc"
    assert len(states(centre)) == known


# ── memory ──


def peak(site: Site, *words: str | Path) -> int:
    """The most memory a command held, in bytes."""
    process = start(site, *words)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss * 1024


def _large_file(city: City, mebibytes: int, volume: str) -> tuple[int, list[int]]:
    """The peak of memory while a file of this size is exported, and while each medium is imported.

    The media are brought one by one, the last first.
    """
    centre, fugou = city.sites.values()
    document = send(centre, act="send_large", mebibytes=mebibytes)
    folder = centre.folder.parent / f"large-{mebibytes}"
    out = peak(centre, "export", "fugou", "--to", folder, "--volume", volume)
    volumes = sorted(folder.iterdir(), reverse=True)
    assert all(path.stat().st_size <= size_of(volume) for path in volumes)
    into = [peak(fugou, "import", path) for path in volumes]
    fugou.do("settle")
    assert is_whole(fugou, document, mebibytes)
    carry(fugou, centre)
    assert word(centre, document) == "已送达"
    return out, into


def test_a_large_file_goes_over_in_little_memory(city: City) -> None:
    idle = peak(city.sites["centre"], "list")
    out, into = _large_file(city, 128, "650MB")
    assert max(out, *into) - idle < 64 << 20, (idle, out, into)


@pytest.mark.soak
def test_a_gibibyte_goes_over_on_several_media_in_little_memory(city: City) -> None:
    for site in city.sites.values():
        text = site.node_file.read_text().replace(
            "workers = 1", "workers = 1\nmax_upload_mb = 4096"
        )
        site.node_file.write_text(text)
        leave(site)
    out, into = _large_file(city, 1024, "256MiB")
    print(f"{out >> 20} MiB out, {[used >> 20 for used in into]} MiB in")
    assert len(into) == 5
    assert max(out, *into) < 200 * 10**6
