"""Real nodes over mutual TLS: who may come, who is told what, and that no renewal loses mail."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest
from OpenSSL import SSL

from tests.engines import Engine
from tests.federation.city import City, Site, free_port, office_id, wait_until
from tests.server.served import certify
from zhengtong.kernel.messages.credentials import AUTHORITY, CERTIFICATE, KEY, REVOKED, install
from zhengtong.wire.certificates import Authority, create_authority, create_request, issue, revoke

pytestmark = pytest.mark.long

NOW = datetime.now(UTC)
LAST_YEAR = NOW - timedelta(days=366)
CLERK, LEADER, COUNTY = "市府办办事员", "市府办领导", "扶沟县办事员"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[tuple[Site, Site]]:
    """A centre and a county for all tests of this file."""
    city = City(tmp_path_factory.mktemp("tls"), engine)
    centre = city.site("centre", exchange_port=free_port())
    fugou = city.site("fugou", "centre")
    city.build({"centre": ["市府办"], "fugou": ["扶沟县"]})
    yield centre, fugou
    city.close()


@pytest.fixture
def pair(built: tuple[Site, Site]) -> Iterator[tuple[Site, Site]]:
    """The two, not running and without certificates, but with what went before in their books."""
    yield built
    for site in built:
        site.stop()
        for name in (KEY, CERTIFICATE, AUTHORITY, REVOKED):
            (site.folder / "keys" / name).unlink(missing_ok=True)


def _certify(site: Site, authority: Authority, suite: str = "intl") -> Path:
    return certify(site.folder / "keys", authority, site.name, suite)


def _send(centre: Site, title: str = "关于做好防汛工作") -> str:
    to = [str(office_id("扶沟县"))]
    return str(centre.do("send", clerk=CLERK, leader=LEADER, to=to, title=title))


def _received(fugou: Site, *documents: str) -> list[int]:
    """How often each of these documents has arrived."""
    found = fugou.do("received", clerk=COUNTY)
    return [found.get(document, 0) for document in documents]


def _meet(centre: Site, fugou: Site, keys: Path) -> None:
    """The first turn of a link, after which letters are numbered."""
    status, answer = Caller(centre, keys, keys).bring(bytes.fromhex(fugou.do("batch", to="centre")))
    assert status == 200
    fugou.do("hear", batch=answer.hex())


def _in_contact(centre: Site, fugou: Site) -> tuple[Authority, Path]:
    """Both certified, the centre running, the first turn made; who certified, the county's keys."""
    authority = create_authority("henan", "intl", NOW)
    _certify(centre, authority)
    keys = _certify(fugou, authority)
    centre.start()
    _meet(centre, fugou, keys)
    return authority, keys


class Caller:
    """Somebody with the standard library's TLS and a certificate, or none."""

    def __init__(self, centre: Site, trusted: Path, shown: Path | None) -> None:
        context = ssl.create_default_context(cafile=str(trusted / AUTHORITY))
        if shown:
            context.load_cert_chain(shown / CERTIFICATE, shown / KEY)
        self.http = HTTPSConnection("127.0.0.1", centre.exchange_port, timeout=20, context=context)

    def bring(self, batch: bytes) -> tuple[int, bytes]:
        self.http.request("POST", "/exchange", batch, {"Content-Type": "application/cbor"})
        answer = self.http.getresponse()
        return answer.status, answer.read()


def test_only_the_right_certificate_opens_the_door(pair: tuple[Site, Site], tmp_path: Path) -> None:
    centre, fugou = pair
    authority = create_authority("henan", "intl", NOW)
    own = _certify(centre, authority)
    right = _certify(fugou, authority)
    centre.start()
    _meet(centre, fugou, right)
    fugou.do("post_bulk", node="centre", number=3)
    batch = bytes.fromhex(fugou.do("batch", to="centre"))
    before = _number_received(centre)
    other = create_authority("henan", "intl", NOW)
    refused = {
        "no certificate": (None, "没有出示节点证书"),
        "another authority": (certify(tmp_path / "a", other, "fugou"), "认可的证书机构"),
        "expired": (certify(tmp_path / "b", authority, "fugou", at=LAST_YEAR), "已过期"),
        "another node": (certify(tmp_path / "c", authority, "shenqiu"), "属于另一个节点"),
    }
    for case, (shown, words) in refused.items():
        status, said = Caller(centre, right, shown).bring(batch)
        told = json.loads(said)
        assert (status, told["refused"]) == (403, "bad_certificate"), case
        assert words in told["text"], case
    taken = certify(tmp_path / "d", authority, "fugou")
    (own / REVOKED).write_bytes(revoke(authority, [(taken / CERTIFICATE).read_bytes()], 1, NOW))
    status, said = Caller(centre, right, taken).bring(batch)
    assert status == 403 and "已被吊销" in json.loads(said)["text"]

    assert _number_received(centre) == before
    assert Caller(centre, right, right).bring(batch)[0] == 200
    assert _number_received(centre) == before + 3
    assert centre.do("link", node="fugou")["certified"], "the node page knows until when"

    # The port for pages takes no batch at all, and says where to go.
    plain = HTTPConnection("127.0.0.1", centre.port, timeout=20)
    plain.request("POST", "/exchange", batch)
    answer = plain.getresponse()
    assert (answer.status, json.loads(answer.read())["refused"]) == (403, "bad_certificate")


def _number_received(centre: Site) -> int:
    return int(centre.do("link", node="fugou")["received"])


@pytest.mark.debian
def test_the_systems_own_client_gets_in_with_the_same_files(pair: tuple[Site, Site]) -> None:
    """`openssl s_client` verifies us, and we it."""
    centre, fugou = pair
    _, keys = _in_contact(centre, fugou)
    batch = bytes.fromhex(fugou.do("batch", to="centre"))
    head = f"POST /exchange HTTP/1.1\r\nHost: centre\r\nContent-Length: {len(batch)}\r\n"
    done = subprocess.run(
        [
            *("openssl", "s_client", "-connect", f"127.0.0.1:{centre.exchange_port}", "-quiet"),
            *("-CAfile", keys / AUTHORITY, "-verify_return_error", "-verify_ip", "127.0.0.1"),
            *("-cert", keys / CERTIFICATE, "-key", keys / KEY, "-tls1_3"),
        ],
        input=f"{head}Connection: close\r\n\r\n".encode() + batch,
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.stdout.startswith(b"HTTP/1.1 200"), done.stderr


@pytest.mark.soak
def test_a_renewal_loses_no_mail(pair: tuple[Site, Site]) -> None:
    """Refused until the right certificate is there; renewed at both ends while letters flow."""
    centre, fugou = pair
    authority = create_authority("henan", "intl", NOW)
    _certify(centre, authority)
    keys = certify(fugou.folder / "keys", authority, "fugou", at=LAST_YEAR)
    documents = [_send(centre)]
    centre.start()
    fugou.start()
    wait_until(lambda: "已过期" in fugou.do("link", node="centre")["last_error"])
    assert "已过期" in fugou.examine()
    assert _received(fugou, *documents) == [0]

    _certify(fugou, authority)
    wait_until(lambda: _received(fugou, *documents) == [1], what="the letter")
    for number in range(4):
        _certify(centre if number % 2 else fugou, authority)
        documents.append(_send(centre, f"关于第{number}次换发证书"))
        if number == 1:
            fugou.stop()
            fugou.start()
    wait_until(lambda: _received(fugou, *documents) == [1] * 5, what="all letters, once")
    fugou.do("sign_for", clerk=COUNTY, document=documents[-1])
    wait_until(lambda: documents[-1] in centre.do("signed_for", clerk=CLERK))
    assert fugou.do("link", node="centre")["last_error"] == ""

    # What the doctor says of the files in good time, and when they are gone.
    assert not fugou.examine()
    key, request = create_request("fugou", "intl")
    short = issue(authority, request, "fugou", [], NOW, days=20)
    install(keys, key=key, certificate=short, authorities=authority.certificate)
    assert "certificate ends in 19 days" in fugou.examine()
    (keys / CERTIFICATE).unlink()
    assert "no usable TLS files" in fugou.examine()


@pytest.mark.soak
def test_the_doorbell_rings_over_tls(pair: tuple[Site, Site]) -> None:
    centre, fugou = pair
    authority, keys = _in_contact(centre, fugou)
    proof = bytes.fromhex(fugou.do("proof", to="centre"))
    header = {"Authorization": f"Batch {base64.urlsafe_b64encode(proof).decode()}"}
    caller = Caller(centre, keys, keys).http
    caller.request("GET", "/exchange/doorbell", headers=header)
    stream = caller.getresponse()
    assert stream.status == 200
    _send(centre)
    line = b""
    while not line.startswith(b"mail"):
        line = stream.readline()
        assert line, "the stream ended"
    stranger = Caller(centre, keys, certify(centre.folder / "other", authority, "shenqiu")).http
    stranger.request("GET", "/exchange/doorbell", headers=header)
    assert stranger.getresponse().status == 401


def test_two_sm2_nodes_exchange_over_sm4(pair: tuple[Site, Site]) -> None:
    """RFC 8998: TLS 1.3 with TLS_SM4_GCM_SM3 and SM2 certificates on both sides."""
    centre, fugou = pair
    authority = create_authority("henan", "gm", NOW)
    for site in pair:
        _certify(site, authority, "gm")
    document = _send(centre)
    centre.start()
    fugou.start()
    wait_until(lambda: _received(fugou, document) == [1], what="the document")
    fugou.do("sign_for", clerk=COUNTY, document=document)
    wait_until(lambda: document in centre.do("signed_for", clerk=CLERK))
    assert _negotiated(centre) == ("TLSv1.3", "TLS_SM4_GCM_SM3")


def _negotiated(centre: Site) -> tuple[str, str | None]:
    """What the centre agrees to with a client that would take anything."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_tls13_ciphersuites(b"TLS_AES_256_GCM_SHA384:TLS_SM4_GCM_SM3")
    with socket.create_connection(("127.0.0.1", centre.exchange_port)) as plain:
        tls = SSL.Connection(context, plain)
        tls.set_connect_state()
        tls.do_handshake()
        return tls.get_protocol_version_name(), tls.get_cipher_name()
