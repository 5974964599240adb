"""The ferry's pages: what the person who carries sees and can do."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests import build
from tests.federation.neighbour import Poser, dial, neighbour, tell
from tests.office.conftest import Desk, token
from zhengtong.kernel.audit import AuditEntry
from zhengtong.kernel.messages.exchange import rewind
from zhengtong.kernel.messages.identity import finder, own_card
from zhengtong.kernel.messages.models import Message, Neighbour
from zhengtong.kernel.messages.roads import ferry, hold
from zhengtong.kernel.messages.roads.models import State, Voyage
from zhengtong.wire.batch import Letter
from zhengtong.wire.ferry import HEAD, MIN_VOLUME, seal_heads
from zhengtong.wire.ferry import Voyage as Statement
from zhengtong.wire.volume import VolumeWriter, open_volume

pytestmark = pytest.mark.django_db(transaction=True)

CARRIER = ["ferry.export", "ferry.import", "ferry.lose"]


@pytest.fixture
def fugou() -> Poser:
    """A neighbour without a line that we have met, and that nothing waits for."""
    made = Poser(own_card()).admitted()
    assert dial(made.batch())[0] == 200
    Neighbour.objects.filter(name="fugou").update(road="ferry")
    return made


@pytest.fixture
def carrier(desk: Desk) -> Client:
    return desk(build.person(build.organisation(), CARRIER))


def post(client: Client, url: str, **values: object) -> str:
    page = client.get("/ferry/").content.decode()
    form = {"csrfmiddlewaretoken": token(page), **values}
    return client.post(url, form, follow=True).content.decode()


def made(client: Client, media: str = "650") -> Voyage:
    """A disc ordered on the page and written by the worker."""
    assert "已开始制作" in post(client, "/ferry/export", node="fugou", media=media)
    assert ferry.work()
    return Voyage.objects.latest("pk")


def volumes_of(fugou: Poser, *loads: list[bytes], level: int = 1) -> list[bytes]:
    """Volumes that fugou made for us; each load is the batches of one."""
    voyage, bodies, extents = os.urandom(16), [], []
    for number, load in enumerate(loads, 1):
        writer = VolumeWriter(fugou.keys, [fugou.node], voyage, number, MIN_VOLUME, os.urandom)
        frames = b"".join(map(writer.add, load))
        index, extent = writer.finish()
        bodies.append(frames + index)
        extents.append(extent)
    said = Statement(voyage, 1, "fugou", "test", datetime.now(UTC), level, tuple(extents))
    heads = seal_heads(said, fugou.keys)
    return [head + body for head, body in zip(heads, bodies, strict=True)]


def letters(fugou: Poser, number: int = 2) -> list[bytes]:
    """So many batches with one letter each."""
    return [
        fugou.batch(*fugou.letters(fugou.envelope(), first=place)) for place in range(1, number + 1)
    ]


def wait_for_a_disc(fugou: Poser, number: int) -> list[Letter]:
    """Let so many letters wait that no road has been given."""
    told = tell(fugou, number)
    rewind("fugou")
    return told


def uploaded(client: Client, *volumes: bytes) -> str:
    files = [SimpleUploadedFile(f"{n}.ferry", data) for n, data in enumerate(volumes, 1)]
    return post(client, "/ferry/import", volume=files)


# ── making a disc ──


def test_a_disc_is_ordered_made_fetched_and_opened_by_the_neighbour(
    fugou: Poser, carrier: Client
) -> None:
    wait_for_a_disc(fugou, 3)
    page = carrier.get("/ferry/").content.decode()
    assert "扶沟县节点" in page
    assert "普通 3 封" in page
    voyage = made(carrier)
    page = carrier.get(f"/ferry/{voyage.pk}").content.decode()
    (size, batches, fingerprint) = voyage.volumes[0]
    assert fingerprint in page
    assert "把对方的回盘带回" in page
    answer = carrier.get(f"/ferry/{voyage.pk}/files/1")
    assert "attachment" in answer["Content-Disposition"]
    data = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert len(data) == size
    volume = open_volume(
        lambda start, length: data[start : start + length],
        size,
        {fugou.node.signing_kid: fugou.node}.get,
        receiver="fugou",
        ceiling=2,
    )
    taken = [fugou.read(batch) for batch in volume.batches(fugou.keys)]
    assert (len(taken), sum(len(batch.letters) for batch in taken)) == (batches, 3)
    assert "没有</span>" in carrier.get("/ferry/").content.decode(), "nothing waits any more"
    verbs = AuditEntry.objects.filter(verb__startswith="ferry.").values_list("verb", flat=True)
    assert list(verbs.order_by("pk")) == ["ferry.export", "ferry.made"]


def test_the_carriers_sheet_says_what_is_handed_over(fugou: Poser, carrier: Client) -> None:
    wait_for_a_disc(fugou, 1)
    voyage = made(carrier)
    sheet = carrier.get(f"/ferry/{voyage.pk}/sheet").content.decode()
    for words in (voyage.name, "测试节点", "扶沟县节点", "内部", voyage.volumes[0][2], "递送人"):
        assert words in sheet


def test_a_lost_disc_is_given_up_and_the_next_carries_its_letters(
    fugou: Poser, carrier: Client
) -> None:
    wait_for_a_disc(fugou, 2)
    lost = made(carrier)
    folder = ferry.folder_of(lost)
    assert list(folder.iterdir())
    assert "已作废" in post(carrier, f"/ferry/{lost.pk}/lose")
    assert not folder.exists()
    assert "不能作废" in post(carrier, f"/ferry/{lost.pk}/lose")
    assert made(carrier).letters == 2


def test_no_two_discs_are_made_for_one_neighbour_at_once(fugou: Poser, carrier: Client) -> None:
    wait_for_a_disc(fugou, 2)
    post(carrier, "/ferry/export", node="fugou", media="650")
    assert "正在为“扶沟县节点”制作第 1 航次" in post(
        carrier, "/ferry/export", node="fugou", media="650"
    )
    ferry.work()
    assert Voyage.objects.get().letters == 2


def test_a_disc_given_up_while_it_is_made_leaves_nothing(
    fugou: Poser, carrier: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_a_disc(fugou, 2)
    post(carrier, "/ferry/export", node="fugou", media="650")
    voyage = Voyage.objects.get()
    finish = hold.Hold.finish

    def given_up_meanwhile(self: hold.Hold) -> object:
        post(carrier, f"/ferry/{voyage.pk}/lose")
        return finish(self)

    monkeypatch.setattr(hold.Hold, "finish", given_up_meanwhile)
    ferry.work()
    monkeypatch.undo()
    voyage.refresh_from_db()
    assert voyage.state == State.LOST
    assert not list(ferry.folder_of(voyage).glob("*"))
    assert made(carrier).letters == 2


def test_receipts_that_come_back_end_the_voyage(fugou: Poser, carrier: Client) -> None:
    sent = wait_for_a_disc(fugou, 2)
    voyage = made(carrier)
    assert dial(fugou.batch(receipts=fugou.receipt(sent), acknowledged=2))[0] == 200
    assert ferry.work()
    page = carrier.get("/ferry/").content.decode()
    assert "回执已到" in page
    assert "按规定销毁" in page
    assert not ferry.folder_of(voyage).exists()


def test_what_cannot_be_made_is_said(fugou: Poser, carrier: Client) -> None:
    assert "请选择介质" in post(carrier, "/ferry/export", node="fugou", media="")
    assert "每卷容量须在 17 MB 到" in post(carrier, "/ferry/export", node="fugou", media="1")
    assert "没有相邻节点“nobody”" in post(carrier, "/ferry/export", node="nobody", media="650")
    made(carrier)  # the first voyage says who we are
    assert "不必制作" in post(carrier, "/ferry/export", node="fugou", media="650")
    Neighbour.objects.update(suspended=True)
    assert "已停用" in post(carrier, "/ferry/export", node="fugou", media="650")


def test_a_letter_above_the_neighbours_ceiling_is_aboard_as_a_hash_and_named(
    fugou: Poser, carrier: Client
) -> None:
    wait_for_a_disc(fugou, 2)
    Neighbour.objects.update(ceiling=0)
    post(carrier, "/ferry/export", node="fugou", media="650")
    ferry.work()
    voyage = Voyage.objects.get()
    assert (voyage.state, voyage.letters, voyage.level) == (State.MADE, 2, 0)
    (volume,) = ferry.folder_of(voyage).iterdir()
    assert [letter.envelope for letter in aboard(fugou, volume)] == [b"", b""]
    page = carrier.get(f"/ferry/{voyage.pk}").content.decode()
    assert "没有交出的信件" in page
    for words in ("第 1 号", "第 2 号", "信件密级高于收信节点的最高密级"):
        assert words in page


def aboard(fugou: Poser, volume: Path) -> list[Letter]:
    """The letters on a volume, as its receiver finds them."""
    data, find = volume.read_bytes(), {fugou.node.signing_kid: fugou.node}.get
    opened = open_volume(
        lambda start, length: data[start : start + length],
        len(data),
        find,
        receiver="fugou",
        ceiling=0,
    )
    batches = [fugou.read(batch) for batch in opened.batches(fugou.keys)]
    return [letter for batch in batches for letter in batch.letters]


# ── bringing a disc ──


def test_volumes_brought_in_any_order_are_taken_in(fugou: Poser, carrier: Client) -> None:
    first, second = volumes_of(fugou, *([batch] for batch in letters(fugou)))
    assert "已读入" in uploaded(carrier, second)
    ferry.work()
    assert "还缺第 1 卷（共 2 卷）" in carrier.get("/ferry/").content.decode()
    uploaded(carrier, first)
    assert ferry.work()
    assert Message.objects.count() == 2
    page = carrier.get("/ferry/").content.decode()
    assert "已导入" in page
    assert "制作回盘" in page
    uploaded(carrier, first, second)
    assert not ferry.work()
    assert (Message.objects.count(), Voyage.objects.count()) == (2, 1)


def test_a_damaged_volume_is_named_beside_the_good_one(fugou: Poser, carrier: Client) -> None:
    first, second = volumes_of(fugou, *([batch] for batch in letters(fugou)))
    broken = second[:HEAD] + b"\xff" + second[HEAD + 1 :]
    page = uploaded(carrier, first, broken)
    assert "有 1 个文件没有导入" in page
    assert f"第 2 卷（共 2 卷）第 {HEAD} 至" in page
    assert "第 1 卷（共 2 卷）" in page
    uploaded(carrier, second)
    assert ferry.work()
    assert Message.objects.count() == 2


@pytest.mark.parametrize(
    ("level", "ceiling", "words"), [(3, 2, "密级高于"), (1, 0, "高于本节点允许的最高密级")]
)
def test_a_disc_above_a_ceiling_is_not_kept(
    fugou: Poser, carrier: Client, level: int, ceiling: int, words: str
) -> None:
    Neighbour.objects.update(ceiling=ceiling)
    (volume,) = volumes_of(fugou, letters(fugou), level=level)
    assert words in uploaded(carrier, volume)
    assert not Voyage.objects.exists()


def test_refused_letters_are_listed_with_the_voyage(fugou: Poser, carrier: Client) -> None:
    bad = fugou.envelope(kind="documents.folded_into_a_hat", body=b"\xa0")
    (volume,) = volumes_of(fugou, [fugou.batch(*fugou.letters(fugou.envelope(), bad))])
    uploaded(carrier, volume)
    ferry.work()
    page = carrier.get(f"/ferry/{Voyage.objects.get().pk}").content.decode()
    assert "没有收下的信件" in page
    assert "本节点不认识该类信件" in page


def test_another_making_under_the_same_name_is_refused(fugou: Poser, carrier: Client) -> None:
    (volume,) = volumes_of(fugou, letters(fugou))
    uploaded(carrier, volume)
    found = Voyage.objects.get()
    found.volumes = [[1, 1, "0000-0000-0000-0000"]]
    found.save()
    assert "电话核对指纹" in uploaded(carrier, volume)


# ── slices ──


def send(client: Client, url: str, body: bytes) -> tuple[int, dict[str, object]]:
    page = client.get("/ferry/").content.decode()
    answer = client.post(
        url, body, content_type="application/octet-stream", headers={"X-CSRFToken": token(page)}
    )
    return answer.status_code, answer.json()


def test_a_large_volume_comes_in_slices_and_goes_on_after_a_break(
    fugou: Poser, carrier: Client
) -> None:
    (volume,) = volumes_of(fugou, letters(fugou))
    status, begun = send(carrier, "/ferry/begin", volume[:HEAD])
    assert (status, begun["at"], begun["size"]) == (200, 0, len(volume))
    url = str(begun["url"])
    assert send(carrier, f"{url}?at=0", volume[:50_000])[1] == {"at": 50_000}
    # The browser was closed; the same file is chosen again.
    assert send(carrier, "/ferry/begin", volume[:HEAD])[1]["at"] == 50_000
    assert send(carrier, f"{url}?at=0", volume[:50_000])[1] == {"at": 50_000}, "told where we are"
    status, ended = send(carrier, f"{url}?at=50000", volume[50_000:])
    assert (status, ended["done"]) == (200, True)
    assert send(carrier, "/ferry/begin", volume[:HEAD])[1]["done"]
    assert ferry.work()
    assert Message.objects.count() == 2


def test_a_bad_slice_is_found_when_the_volume_is_whole(fugou: Poser, carrier: Client) -> None:
    (volume,) = volumes_of(fugou, letters(fugou))
    url = str(send(carrier, "/ferry/begin", volume[:HEAD])[1]["url"])
    broken = volume[: HEAD + 9] + b"\xff" + volume[HEAD + 10 :]
    status, said = send(carrier, f"{url}?at=0", broken)
    assert status == 422
    assert f"第 1 卷（共 1 卷）第 {HEAD} 至" in str(said["text"])
    assert send(carrier, "/ferry/begin", volume[:HEAD])[1]["at"] == 0, "begun anew"


def test_what_is_no_volume_is_refused_at_its_first_bytes(fugou: Poser, carrier: Client) -> None:
    status, said = send(carrier, "/ferry/begin", b"holiday pictures" * 9999)
    assert status == 422
    assert "来件格式不符合协议" in str(said["text"])
    stranger = replace(fugou)
    (volume,) = volumes_of(stranger, [stranger.batch()])
    status, said = send(carrier, "/ferry/begin", volume[:HEAD])
    assert (status, "不在本节点的节点名录中" in str(said["text"])) == (422, True)


# ── who may ──


def test_every_duty_is_asked_for(fugou: Poser, desk: Desk) -> None:
    where = build.organisation()
    assert desk(build.person(where)).get("/ferry/").status_code == 403
    watcher = desk(build.person(where, ["links.read"]))
    page = watcher.get("/ferry/").content.decode()
    assert "制作</button>" not in page
    assert 'type="file"' not in page
    form = {"csrfmiddlewaretoken": token(watcher.get("/").content.decode()), "node": "fugou"}
    assert watcher.post("/ferry/export", {**form, "media": "650"}).status_code == 403
    assert watcher.post("/ferry/import", form).status_code == 403
    assert watcher.post("/ferry/begin", form).status_code == 403
    assert not Voyage.objects.exists()


def test_where_the_files_are_kept_nobody_else_may_look(fugou: Poser, carrier: Client) -> None:
    wait_for_a_disc(fugou, 1)
    folder: Path = ferry.folder_of(made(carrier))
    assert folder.stat().st_mode & 0o077 == 0
    assert finder(neighbour())(own_card().signing_kid) is None
