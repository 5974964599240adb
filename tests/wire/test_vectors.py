"""The published vectors are what the code makes, and a stranger's code agrees with every one."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.wire import builders, stranger, stranger_ferry, stranger_judge, stranger_suites
from tests.wire.forgeries import FORGERIES
from zhengtong.wire import authority, timestamp
from zhengtong.wire.bulk import open_bulk
from zhengtong.wire.envelope import open_envelope
from zhengtong.wire.evidence_check import verify
from zhengtong.wire.ferry import read_head
from zhengtong.wire.volume import Volume

ROOT = Path(__file__).resolve().parents[2]
FAULTS = [*(forge.__name__ for forge, _ in FORGERIES), "cut_off", "damaged_byte"]


def octets(value: Any) -> Any:
    """Hex back into bytes, wherever it stands in fields that hold bytes."""
    if isinstance(value, list):
        return [octets(item) for item in value]
    return bytes.fromhex(value) if isinstance(value, str) else value


class Vectors:
    """The files of one suite, with the nodes in them as the stranger knows them."""

    def __init__(self, suite: str) -> None:
        self.suite, self.folder = suite, ROOT / "docs" / "vectors" / suite
        cards = [stranger.card(octets(fields["card"])) for fields in self.read("cards").values()]
        self.nodes = {card["node"]: card for card in cards}
        self.known = {stranger.h(card["signing"])[:8]: card for card in cards}
        self.files = self.read("evidence_files")

    def read(self, name: str) -> Any:
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(params=["intl", "gm"])
def v(request: pytest.FixtureRequest) -> Iterator[Vectors]:
    stranger.speak(request.param)
    yield Vectors(request.param)
    stranger.speak("intl")


def test_what_is_committed_is_what_the_code_makes() -> None:
    made = dict(runpy.run_path(str(ROOT / "tools" / "vectors"))["files"]())
    for suite in ("intl", "gm"):
        folder = ROOT / "docs" / "vectors" / suite
        assert {path.name for path in folder.iterdir()} == {path.name for path in made}
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run tools/vectors"


@pytest.mark.parametrize("module", [stranger, stranger_ferry, stranger_judge, stranger_suites])
def test_the_stranger_knows_nothing_of_ours(module: ModuleType) -> None:
    source = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    names = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(source)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    allowed = {"__future__", "base64", "cbor2", "collections", "cryptography", "dataclasses"}
    own = {"tests.wire.stranger", "tests.wire.stranger_suites"}
    assert {name.split(".")[0] for name in names - own} <= allowed | {"hashlib", "typing"}


def test_strict_cbor(v: Vectors) -> None:
    cases = v.read("strict_cbor")
    for text in cases["accept"]:
        assert stranger.encode(stranger.decode(bytes.fromhex(text))).hex() == text
    for case in cases["refuse"]:
        with pytest.raises(Exception):  # noqa: B017 - a stranger's errors are of many kinds
            stranger.decode(bytes.fromhex(case["bytes"]))


def test_cards(v: Vectors) -> None:
    for name, fields in v.read("cards").items():
        card = stranger.card(octets(fields["card"]))
        assert {key: card[key] for key in fields if key != "card"} == {
            key: value for key, value in fields.items() if key != "card"
        }
        held = v.read("keys")[name]
        assert card["signing"].hex() == held["signing_public"]
        assert stranger.h(card["agreement"])[:8].hex() == held["agreement_kid"]
        forged = bytearray(octets(fields["card"]))
        forged[-70] ^= 1
        with pytest.raises(Exception):  # noqa: B017
            stranger.card(bytes(forged))


def test_envelopes(v: Vectors) -> None:
    case = v.read("envelopes")
    content = case["content"]
    world: Any = builders.world(v.suite)
    keys = {"fugou": world["FUGOU"], "shenqiu": world["SHENQIU"]}
    find = {world["CITY_CARD"].signing_kid: world["CITY_CARD"]}
    for item, to in [
        *[(case["alone"], name) for name in case["to"]],
        *[(item, "fugou") for item in case["together"]],
    ]:
        data = octets(item["envelope"])
        claims = stranger.envelope(data, v.known)
        assert stranger.h(data) == octets(item["hash"])
        assert (claims[1], claims[7].hex()) == (content["origin"], content["message"])
        assert (claims[-70001], claims[-70003]) == (content["kind"], content["level"])
        plain = octets(item["disclosure"])
        if v.suite == "intl":
            held = v.read("keys")[to]
            secret, kid = octets(held["agreement_private"]), octets(held["agreement_kid"])
            assert stranger.open_envelope(data, secret, kid) == plain
        opened = open_envelope(data, keys[to], find.get)
        assert opened.disclosure == plain
        body = stranger.disclosed(claims, plain)
        assert body[1] == octets(content["body"])
        assert body[2] == [[name, size, octets(digest)] for name, size, digest in content["files"]]
    salt = stranger.decode(octets(case["alone"]["disclosure"]))[0].hex()
    assert salt == case["drawn"].get("salt", salt)


def test_bulks(v: Vectors) -> None:
    case = v.read("bulks")
    _, body = stranger.batch(octets(case["batch"]), v.known, "fugou")
    ((_, data, bulk),) = body["letters"]
    assert (data, bulk) == (octets(case["envelope"]), octets(case["sealed"]))
    claims = stranger.envelope(data, v.known)
    assert claims[-70008] == stranger.h(bulk)
    if v.suite == "intl":
        assert stranger.open_bulk(claims, bulk, octets(case["key"])) == octets(case["data"])
    world: Any = builders.world(v.suite)
    assert open_bulk(bulk, octets(case["key"]), world["CITY"].suite) == octets(case["data"])


def test_chain(v: Vectors) -> None:
    chain = bytes(32)
    for step in v.read("chain"):
        chain = stranger.extend(chain, octets(step["envelope_hash"]))
        assert chain == octets(step["chain"])


def test_log(v: Vectors) -> None:
    case = v.read("log")
    leaves = [stranger.h(b"\x00", entry) for entry in octets(case["entries"])]
    roots = octets(case["roots"])
    for size, root in enumerate(roots):
        assert stranger.tree(leaves[:size]) == root
    for proof in case["inclusion"]:
        index, size, path = proof["index"], proof["size"], octets(proof["path"])
        assert stranger.follow(leaves[index], index, size, path) == roots[size]
    for proof in case["consistency"]:
        old, size, path = proof["old"], proof["size"], octets(proof["path"])
        stranger.consistent(old, size, roots[old], roots[size], path)
        if path:
            with pytest.raises(stranger.Wrong):
                stranger.consistent(old, size, roots[old], roots[size], [bytes(32), *path[1:]])


def test_receipts(v: Vectors) -> None:
    case = v.read("receipt")
    entries = octets(case["entries"])
    assert stranger.receipts(octets(case["run"]), v.known) == list(map(stranger.decode, entries))
    for entry, single in zip(entries, octets(case["single"]), strict=True):
        assert stranger.receipt(entry, single, v.known)[1] == case["by"]
    with pytest.raises(Exception):  # noqa: B017
        stranger.receipt(entries[0], octets(case["single"])[1], v.known)


def test_checkpoint(v: Vectors) -> None:
    case = v.read("checkpoint")
    city, fugou = v.nodes["zhoukou"], v.nodes["fugou"]
    note = case["note"].encode() + case["cosignature"].encode()
    origin, size, root, text, lines = stranger.checkpoint(note, city)
    assert (origin, size, root.hex()) == (case["origin"], case["size"], case["root"])
    (mark,) = [mark for name, mark in lines if name == case["witness"]]
    assert stranger.cosigned(text, mark, fugou) == case["witnessed_at"]


def test_standings_and_batches(v: Vectors) -> None:
    case = v.read("standings")
    said = stranger.standing(octets(case["standing"]), v.known)
    assert said["sent"] == [case["sent"][0], octets(case["sent"][1])]
    assert (said["counter"], said["waiting"], said["seen"]) == (5, [0, 2], [0, 0])
    batches = v.read("batches")
    said, body = stranger.batch(octets(batches["full"]), v.known, "fugou")
    assert [number for number, _ in body["letters"]] == [11, 12]
    said, body = stranger.batch(octets(batches["one_letter"]), v.known, "fugou")
    ((_, envelope),) = body["letters"]
    assert said["sent"] == [1, stranger.extend(bytes(32), stranger.h(envelope))]
    said, body = stranger.batch(octets(batches["letters_lost"]), v.known, "fugou")
    assert (said["epoch"], said["lost"], body["letters"][0][0]) == (1, [9, 12], 13)
    said, body = stranger.batch(octets(batches["withheld"]), v.known, "fugou")
    kept, other = body["letters"]
    assert (kept[:2], said["high"]) == ([1, None], 2)
    chain = stranger.extend(bytes(32), stranger.digest_of(kept))
    assert said["sent"] == [2, stranger.extend(chain, stranger.digest_of(other))]
    with pytest.raises(stranger.Wrong):
        stranger.batch(octets(batches["full"]), v.known, "shenqiu")


def whole(volume: dict[str, Any]) -> bytes:
    """The file of a volume, whose padding the vectors leave out."""
    head, frames, index = (octets(volume[part]) for part in ("head", "frames", "index"))
    return bytes(head.ljust(65536, b"\0") + frames + index)


def test_ferry(v: Vectors) -> None:
    case, held = v.read("ferry"), v.read("keys")["fugou"]
    secret, kid = octets(held["agreement_private"]), octets(held["agreement_kid"])
    world: Any = builders.world(v.suite)
    for number, volume in enumerate(case["volumes"], 1):
        data = whole(volume)
        assert hashlib.sha256(data).hexdigest() == volume["sha256"]
        said, sealed = stranger_ferry.volume(data, v.known, "fugou")
        assert (said["volume"], said["voyage"].hex()) == (number, case["voyage"])
        assert (said["number"], said["level"], said["at"]) == (7, 1, case["at"])
        if v.suite == "intl":
            batches = [
                stranger_ferry.batch(said, place, frame, secret, kid)
                for place, frame in enumerate(sealed)
            ]
            assert batches == octets(volume["batches"])
            with pytest.raises(Exception):  # noqa: B017
                stranger_ferry.batch(said, 1, sealed[0], secret, kid)
        opened = Volume(
            lambda start, length, data=data: data[start : start + length],  # type: ignore[misc]
            len(data),
            read_head(
                data,
                {card.signing_kid: card for card in world["CARDS"]}.get,
                receiver="fugou",
                ceiling=1,
            ),
        )
        assert list(opened.batches(world["FUGOU"])) == octets(volume["batches"])
        for at in (100, 30_000, 65_540, len(data) - 1):
            forged = bytearray(data)
            forged[at] ^= 1
            with pytest.raises(Exception):  # noqa: B017
                stranger_ferry.volume(bytes(forged), v.known, "fugou")


def test_time_stamp(v: Vectors) -> None:
    case = v.read("time_stamp")
    token, text = octets(case["token"]), case["text"].encode()
    assert stranger_judge.stamp(token, text) == "20260302013000Z"
    root = authority.read(octets(case["authority_certificate"]))
    found = timestamp.verify(token, text, [root])
    assert (int(found.at.timestamp()), found.anchored) == (case["at"], True)


def test_the_good_evidence_file_is_good(v: Vectors) -> None:
    data = base64.b64decode(v.files["good"])
    proven = stranger_judge.judge(data)
    assert "zhoukou to fugou 12 to 13 whole" in proven
    assert {"fugou delivered", "fugou signed for it", "entry 2 in zhoukou/exchange"} <= set(proven)
    assert "zhoukou/exchange stamped 20260302033000Z" in proven
    assert verify(data).ok


@pytest.mark.parametrize("forgery", FAULTS)
def test_every_faulty_evidence_file_is_faulty(v: Vectors, forgery: str) -> None:
    (case,) = [case for case in v.files["faulty"] if case["forgery"] == forgery]
    data = base64.b64decode(case["file"])
    with pytest.raises(Exception):  # noqa: B017
        stranger_judge.judge(data)
    report = verify(data)
    assert not report.ok
    assert case["finding"] in "\n".join(f"{f.zh} / {f.en}" for f in report.findings if not f.ok)
