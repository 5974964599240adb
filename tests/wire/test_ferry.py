"""Volumes that a person carries: whatever is wrong with one is named, with its bytes."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.builders import (
    CITY,
    CITY_CARD,
    FUGOU,
    FUGOU_CARD,
    NOW,
    RECOVERY,
    RECOVERY_CARD,
    SHENQIU,
    find_card,
    seeded,
)
from zhengtong.wire import cbor, cose
from zhengtong.wire.batch import MAX_BATCH
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.ferry import (
    BLOCK,
    HEAD,
    MAX_VOLUMES,
    MIN_VOLUME,
    Extent,
    FerryError,
    Voyage,
    fingerprint,
    missing,
    read_head,
    seal_heads,
)
from zhengtong.wire.keys import NodeCard, NodeKeys
from zhengtong.wire.volume import Volume, VolumeWriter, open_volume

VOYAGE = bytes(range(16))
Change = Callable[[bytes], bytes]


def packed(
    loads: Sequence[Sequence[bytes]],
    *,
    keys: NodeKeys = CITY,
    to: Sequence[NodeCard] = (FUGOU_CARD,),
    **said: object,
) -> list[bytes]:
    """The volumes of a voyage; `loads` are the batches of each."""
    bodies, extents = [], []
    for number, load in enumerate(loads, 1):
        writer = VolumeWriter(keys, to, VOYAGE, number, MIN_VOLUME, seeded(number))
        frames = b"".join(map(writer.add, load))
        index, extent = writer.finish()
        bodies.append(frames + index)
        extents.append(extent)
    voyage = Voyage(VOYAGE, 7, keys.node, "fugou", NOW, 1, tuple(extents))
    heads = seal_heads(replace(voyage, **said), keys)  # type: ignore[arg-type]
    return [head + body for head, body in zip(heads, bodies, strict=True)]


def reading(data: bytes) -> Callable[[int, int], bytes]:
    return lambda start, length: data[start : start + length]


def opened(data: bytes, receiver: str = "fugou", ceiling: int = 2) -> Volume:
    return open_volume(reading(data), len(data), find_card, receiver=receiver, ceiling=ceiling)


def unloaded(data: bytes, keys: NodeKeys = FUGOU) -> list[bytes]:
    volume = opened(data)
    volume.check()
    return list(volume.batches(keys))


def refusal(data: bytes, **given: object) -> WireError:
    with pytest.raises(WireError) as refused:
        volume = opened(data, **given)  # type: ignore[arg-type]
        volume.check()
        list(volume.batches(FUGOU))
    return refused.value


LARGE = bytes(range(256)) * 10_000  # 2.5 MB: several blocks
LOADS = [[b"first", LARGE], [b"", b"x" * 300], [b"last"]]
VOLUMES = packed(LOADS)


@given(st.lists(st.lists(st.binary(max_size=3000), min_size=1, max_size=5), min_size=1, max_size=4))
@settings(max_examples=40)
def test_batches_arrive_as_they_were_loaded(loads: list[list[bytes]]) -> None:
    assert [unloaded(volume) for volume in packed(loads)] == loads


def test_a_volume_is_a_cbor_sequence_that_a_stranger_can_take_apart() -> None:
    """Read with cbor2 and hashlib alone, by what the specification says."""
    stream = BytesIO(VOLUMES[0])
    head = cbor2.load(stream)
    assert head.tag == 18
    assert cbor2.loads(head.value[0])[16] == "application/vnd.zhengtong.ferry+cose"
    said = cbor2.loads(head.value[2])
    assert {stream.read(1) for _ in range(HEAD - stream.tell())} == {b"\0"}
    size, content, batches, digest = said["volumes"][said["volume"] - 1]
    frames = [cbor2.load(stream) for _ in range(batches)]
    assert [cbor2.loads(frame).tag for frame in frames] == [96, 96]
    assert stream.tell() == HEAD + content
    index = stream.read()
    assert hashlib.sha256(index).digest() == digest
    assert cbor2.loads(index) == [
        hashlib.sha256(VOLUMES[0][at : min(at + BLOCK, HEAD + content)]).digest()
        for at in range(HEAD, HEAD + content, BLOCK)
    ]
    assert len(VOLUMES[0]) == size
    assert said["at"] == int(NOW.timestamp() * 1_000_000)


def test_the_recovery_key_opens_a_volume_too() -> None:
    (volume,) = packed([[b"kept"]], to=[FUGOU_CARD, RECOVERY_CARD])
    assert unloaded(volume, RECOVERY) == unloaded(volume) == [b"kept"]


def test_an_import_goes_on_at_any_batch() -> None:
    batches = [b"0", LARGE, b"2", LARGE[:99]]
    (volume,) = packed([batches])
    for place in range(5):
        assert list(opened(volume).batches(FUGOU, skip=place)) == batches[place:]


# ── damage ──


def _holders(data: bytes) -> st.SearchStrategy[int]:
    """Places all over a volume, its small parts as often as its large ones."""
    end = len(data)
    return st.one_of(
        st.integers(0, 700), st.integers(0, HEAD - 1), st.integers(HEAD, end - 1),
        st.integers(end - 120, end - 1),
    )  # fmt: skip


@given(st.data())
@settings(max_examples=300)
def test_any_flipped_bit_is_found_and_its_place_named(data: st.DataObject) -> None:
    number = data.draw(st.integers(1, len(VOLUMES)))
    whole = VOLUMES[number - 1]
    at = data.draw(_holders(whole))
    altered = bytearray(whole)
    altered[at] ^= 1 << data.draw(st.integers(0, 7))
    error = refusal(bytes(altered))
    if at < HEAD:  # then nothing that the head says can be believed
        assert not isinstance(error, FerryError) or error.volume is None
        return
    assert isinstance(error, FerryError)
    assert error.code is Refusal.BAD_SIGNATURE
    assert (error.volume, error.of) == (number, 3)
    assert error.span and error.span[0] <= at <= error.span[1]
    assert error.span[1] - error.span[0] < BLOCK
    assert f"第 {number} 卷（共 3 卷）第 {error.span[0]} 至 {error.span[1]} 字节" in error.zh
    assert f"volume {number} of 3, bytes {error.span[0]}–{error.span[1]}" in str(error)


@given(st.integers(0, len(VOLUMES[1]) - 1))
@settings(max_examples=100)
def test_a_volume_cut_anywhere_is_truncated(end: int) -> None:
    error = refusal(VOLUMES[1][:end])
    assert isinstance(error, FerryError)
    assert error.code is Refusal.TRUNCATED
    assert error.span and error.span[0] == end
    if end >= HEAD:
        assert (error.volume, error.span[1]) == (2, len(VOLUMES[1]) - 1)


def test_bytes_after_the_end_are_named() -> None:
    error = refusal(VOLUMES[1] + b"\0")
    assert isinstance(error, FerryError)
    assert error.code is Refusal.MALFORMED
    assert error.span == (len(VOLUMES[1]), len(VOLUMES[1]))


def test_a_part_that_cannot_be_read_is_named_as_an_altered_one_is() -> None:
    def scratched(start: int, length: int) -> bytes:
        return b"" if start == HEAD + BLOCK else VOLUMES[0][start : start + length]

    volume = open_volume(scratched, len(VOLUMES[0]), find_card, receiver="fugou", ceiling=2)
    with pytest.raises(FerryError) as refused:
        volume.check()
    assert refused.value.span == (HEAD + BLOCK, HEAD + 2 * BLOCK - 1)


def test_blocks_changed_against_each_other_are_found() -> None:
    whole = VOLUMES[0]
    middle = HEAD + BLOCK
    error = refusal(whole[:HEAD] + whole[middle : middle + BLOCK] + whole[HEAD:middle]
                    + whole[middle + BLOCK :])  # fmt: skip
    assert isinstance(error, FerryError)
    assert error.span == (HEAD, middle - 1)


# ── what does not belong together ──


def heads(volumes: Sequence[bytes]) -> list[object]:
    return [opened(volume).head for volume in volumes]


def test_missing_volumes_are_named() -> None:
    first, second, third = (opened(volume).head for volume in VOLUMES)
    assert missing([third]) == (1, 2)
    assert missing([second, first, second]) == (3,)
    assert missing([first, third, second]) == ()
    assert missing([]) == ()


def test_a_volume_of_another_voyage_is_named() -> None:
    first = opened(VOLUMES[0]).head
    other = opened(packed(LOADS, id=bytes(16))[1]).head
    with pytest.raises(FerryError) as refused:
        missing([first, other])
    assert (refused.value.code, refused.value.volume) == (Refusal.MALFORMED, 2)


def test_a_voyage_made_twice_under_one_name_is_found() -> None:
    first, again = opened(VOLUMES[0]).head, opened(packed([[b"other"]] * 3)[2]).head
    with pytest.raises(FerryError) as refused:
        missing([first, again])
    assert (refused.value.code, refused.value.volume) == (Refusal.REPLAYED, 3)


def test_the_body_of_another_volume_under_this_head_is_found() -> None:
    a, b = packed([[b"aaaa"], [b"bbbb"]])
    assert refusal(a[:HEAD] + b[HEAD:]).code is Refusal.BAD_SIGNATURE


def test_a_frame_cannot_be_moved_even_by_its_signer() -> None:
    """An index over frames in the wrong places, honestly signed: the frames do not open."""
    writer = VolumeWriter(CITY, [FUGOU_CARD], VOYAGE, 1, MIN_VOLUME, seeded(1))
    frames = writer.add(b"one"), writer.add(b"two")
    body = frames[1] + frames[0]
    index = cbor.encode([hashlib.sha256(body).digest()])
    extent = Extent(HEAD + len(body) + len(index), len(body), 2, hashlib.sha256(index).digest())
    (head,) = seal_heads(Voyage(VOYAGE, 1, "zhoukou", "fugou", NOW, 1, (extent,)), CITY)
    error = refusal(head + body + index)
    assert isinstance(error, FerryError)
    assert error.code is Refusal.UNDECRYPTABLE
    assert error.span == (HEAD, HEAD + len(frames[1]) - 1)


# ── who may read what ──


def test_a_stranger_and_another_node_are_refused() -> None:
    stranger = NodeKeys.generate("zhoukou", rng=seeded(77))
    assert refusal(packed(LOADS, keys=stranger)[0]).code is Refusal.UNKNOWN_SENDER
    error = refusal(VOLUMES[2], receiver="shenqiu")
    assert isinstance(error, FerryError)
    assert (error.code, error.volume) == (Refusal.WRONG_RECIPIENT, 3)
    with pytest.raises(FerryError) as closed:
        list(opened(VOLUMES[0]).batches(SHENQIU))
    assert closed.value.code is Refusal.UNDECRYPTABLE


def test_nobody_signs_in_anothers_name() -> None:
    payload = cose.parse(VOLUMES[0][:HEAD].rstrip(b"\0"), cose.FERRY, HEAD).payload
    posing = SHENQIU.state(cose.FERRY, payload).ljust(HEAD, b"\0") + VOLUMES[0][HEAD:]
    assert refusal(posing).code is Refusal.BAD_SIGNATURE
    with pytest.raises(WireError):
        packed(LOADS, keys=SHENQIU, sender="zhoukou")


def test_a_statement_of_another_type_is_no_head() -> None:
    payload = cose.parse(VOLUMES[0][:HEAD].rstrip(b"\0"), cose.FERRY, HEAD).payload
    batch = CITY.state(cose.STANDING, payload).ljust(HEAD, b"\0") + VOLUMES[0][HEAD:]
    assert refusal(batch).code is Refusal.MALFORMED


@pytest.mark.parametrize(("level", "ceiling"), [(1, 0), (2, 1), (3, 2), (3, 5)])
def test_nothing_above_a_ceiling_is_opened(level: int, ceiling: int) -> None:
    """The last case: above the ceiling of its own sender, which is 2."""
    error = refusal(packed(LOADS, level=level)[1], ceiling=ceiling)
    assert isinstance(error, FerryError)
    assert (error.code, error.volume) == (Refusal.ABOVE_CEILING, 2)


# ── limits, before anything is allocated ──

EXTENT = Extent(HEAD + 1 + 34, 1, 1, bytes(32))


@pytest.mark.parametrize(
    "extent",
    [
        replace(EXTENT, size=2**50, content=2**49),
        replace(EXTENT, size=2**36),
        replace(EXTENT, digest=bytes(30_000), size=HEAD + 40_000),
        replace(EXTENT, digest=b""),
        replace(EXTENT, content=0),
        replace(EXTENT, batches=0),
        replace(EXTENT, size=HEAD),
    ],
)
def test_an_absurd_extent_is_refused_at_the_head(extent: Extent) -> None:
    payload = cbor.encode(
        {
            "voyage": VOYAGE, "number": 1, "sender": "zhoukou", "receiver": "fugou", "level": 1,
            "at": 1, "volume": 1,
            "volumes": [[extent.size, extent.content, extent.batches, extent.digest]],
        }
    )  # fmt: skip
    area = CITY.state(cose.FERRY, payload).ljust(HEAD, b"\0")
    with pytest.raises(WireError) as refused:
        read_head(area, find_card, receiver="fugou", ceiling=2)
    assert refused.value.code in (Refusal.OVERSIZED, Refusal.MALFORMED)
    with pytest.raises(WireError):
        seal_heads(Voyage(VOYAGE, 1, "zhoukou", "fugou", NOW, 1, (extent,)), CITY)


def test_the_largest_voyage_fits_its_heads_and_no_larger_one_is_made() -> None:
    voyage = Voyage(VOYAGE, 1, "zhoukou", "fugou", NOW, 1, (EXTENT,) * MAX_VOLUMES)
    areas = seal_heads(voyage, CITY)
    assert {len(area) for area in areas} == {HEAD}
    head = read_head(areas[-1], find_card, receiver="fugou", ceiling=2)
    assert (head.volume, head.voyage) == (MAX_VOLUMES, voyage)
    with pytest.raises(WireError):
        seal_heads(replace(voyage, volumes=(EXTENT,) * (MAX_VOLUMES + 1)), CITY)


@pytest.mark.parametrize("limit", [0, MIN_VOLUME - 1, 2**60])
def test_a_volume_that_could_not_hold_a_batch_is_refused(limit: int) -> None:
    with pytest.raises(WireError) as refused:
        VolumeWriter(CITY, [FUGOU_CARD], VOYAGE, 1, limit, seeded(1))
    assert refused.value.code is Refusal.OVERSIZED


def test_a_volume_stays_below_its_limit_and_holds_the_largest_batch() -> None:
    writer = VolumeWriter(CITY, [FUGOU_CARD], VOYAGE, 1, MIN_VOLUME, seeded(1))
    assert writer.has_room(MAX_BATCH)
    while writer.has_room(700_000):
        writer.add(bytes(700_000))
    _, extent = writer.finish()
    assert MIN_VOLUME - 700_000 - 70_000 < extent.size <= MIN_VOLUME


def test_reading_a_large_volume_takes_the_memory_of_a_batch() -> None:
    (volume,) = packed([[bytes(1_000_000)] * 14])
    tracemalloc.start()
    for batch in opened(volume).batches(FUGOU):
        assert len(batch) == 1_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * BLOCK


def test_fingerprints_are_short_enough_to_compare() -> None:
    assert fingerprint(bytes(range(32))) == "0001-0203-0405-0607"
    assert CITY_CARD.node == "zhoukou"
