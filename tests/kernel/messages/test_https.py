"""A node dials its parent and nobody else, and says in plain words why it did not."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import urllib3

from tests.server.served import NOW, Served, certify
from zhengtong.kernel.messages.credentials import (
    AUTHORITY,
    CERTIFICATE,
    KEY,
    REVOKED,
    Credentials,
    NoCredentials,
    install,
)
from zhengtong.kernel.messages.https import NotSecured, pool
from zhengtong.wire.certificates import create_authority, revoke

YEAR = timedelta(days=366)


@pytest.fixture(params=["intl", "gm"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path, request.param)
    yield made
    made.close()


def dialled(served: Served, folder: Path | None = None, parent: str = "zhoukou") -> str:
    """What the child at `folder` gets for an answer, or the reason why it gets none."""
    http = pool(parent, Credentials(folder or served.child, lambda: NOW))
    try:
        answer = http.request("POST", f"https://127.0.0.1:{served.number}/exchange", body=b"x")
    except NotSecured as error:
        return str(error)
    return answer.data.decode()


def test_both_ends_know_each_other(served: Served) -> None:
    assert '"zhengtong.node": "fugou"' in dialled(served)


def test_one_connection_serves_many_turns(served: Served) -> None:
    http = pool("zhoukou", Credentials(served.child, lambda: NOW))
    for size in (10, 1_500_000, 20):
        url = f"https://127.0.0.1:{served.number}/exchange?{size}"
        assert len(http.request("POST", url, body=b"x" * size).data) == size
    assert len(served.port.open) == 1


@pytest.mark.parametrize("served", ["gm"], indirect=True)
def test_sm2_nodes_speak_sm4(served: Served) -> None:
    http = pool("zhoukou", Credentials(served.child, lambda: NOW))
    url = f"https://127.0.0.1:{served.number}/exchange?10"
    answer = http.request("POST", url, body=b"", preload_content=False)
    assert answer.connection is not None
    tls = answer.connection.sock.connection  # type: ignore[attr-defined]
    assert (tls.get_cipher_name(), tls.get_protocol_version_name()) == (
        "TLS_SM4_GCM_SM3", "TLSv1.3",
    )  # fmt: skip
    answer.release_conn()


def test_nodes_of_either_suite_speak_with_each_other(served: Served, tmp_path: Path) -> None:
    """A county with the other suite: each trusts the authorities of both."""
    other_suite = {"intl": "gm", "gm": "intl"}[served.suite]
    other = create_authority("henan", other_suite, NOW)
    child = certify(tmp_path / "other", other, "fugou", other_suite)
    both = served.authority.certificate + other.certificate
    for folder in (child, served.folder):
        (folder / AUTHORITY).write_bytes(both)
    assert '"zhengtong.node": "fugou"' in dialled(served, child)


def test_a_child_that_is_refused_is_told_why(served: Served, tmp_path: Path) -> None:
    stranger = create_authority("henan", "intl", NOW)
    trusting = certify(tmp_path / "stranger", stranger, "fugou")
    (trusting / AUTHORITY).write_bytes(served.authority.certificate)
    assert "不是由本网认可的证书机构签发" in dialled(served, trusting)


def test_an_expired_certificate_is_told_at_either_end(tmp_path: Path) -> None:
    served = Served(tmp_path)
    try:
        expired = certify(tmp_path / "old", served.authority, "fugou", at=NOW - YEAR)
        assert "节点证书已过期" in dialled(served, expired)
        certify(served.folder, served.authority, "zhoukou", at=NOW - YEAR)
        assert dialled(served).startswith("上级节点:节点证书已过期")
    finally:
        served.close()


def test_a_parent_of_another_name_or_authority_is_not_spoken_to(
    served: Served, tmp_path: Path
) -> None:
    assert dialled(served, parent="henan").startswith("上级节点:节点证书属于另一个节点")
    other = create_authority("henan", "intl", NOW)
    (served.child / AUTHORITY).write_bytes(other.certificate)
    assert dialled(served).startswith("上级节点:节点证书不是由本网认可的证书机构签发")


def test_a_certificate_taken_back_is_refused_from_then_on(served: Served) -> None:
    http = pool("zhoukou", Credentials(served.child, lambda: NOW))
    url = f"https://127.0.0.1:{served.number}/exchange"
    assert http.request("POST", url, body=b"x").status == 200
    taken = revoke(served.authority, [(served.child / CERTIFICATE).read_bytes()], 1, NOW)
    (served.folder / REVOKED).write_bytes(taken)
    answer = http.request("POST", url, body=b"x")  # on the connection that is open already
    assert answer.status == 403 and "节点证书已被吊销" in answer.data.decode()
    own = revoke(served.authority, [(served.folder / CERTIFICATE).read_bytes()], 2, NOW)
    (served.child / REVOKED).write_bytes(own)
    assert dialled(served).startswith("上级节点:节点证书已被吊销")


def test_a_renewed_certificate_is_used_from_the_next_connection_on(
    served: Served, tmp_path: Path
) -> None:
    """Also while it is half in place: with the new key, the old certificate no longer fits."""
    http = pool("zhoukou", Credentials(served.child, lambda: NOW))
    url = f"https://127.0.0.1:{served.number}/exchange"
    assert http.request("POST", url, body=b"x").status == 200
    renewed = certify(tmp_path / "new", served.authority, "fugou", served.suite)
    (served.child / KEY).write_bytes((renewed / KEY).read_bytes())
    http.clear()
    assert http.request("POST", url, body=b"x").status == 200
    (served.child / CERTIFICATE).write_bytes((renewed / CERTIFICATE).read_bytes())
    http.clear()
    assert http.request("POST", url, body=b"x").status == 200


def test_without_files_the_page_says_what_to_do(served: Served, tmp_path: Path) -> None:
    assert "本节点没有可用的节点证书" in dialled(served, tmp_path / "nothing")
    install(tmp_path / "bad", key=b"", certificate=b"", authorities=b"")
    assert "tls-key.pem、tls.pem、authority.pem" in dialled(served, tmp_path / "bad")
    with pytest.raises(NoCredentials, match="bad"):
        Credentials(tmp_path / "bad", lambda: NOW).context()


@contextmanager
def _listening(answer: bytes, *, wait: bool = False) -> Iterator[int]:
    """A port that is no node's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def serve() -> None:
            caller, _ = server.accept()
            caller.recv(10_000)
            caller.sendall(answer)
            if wait:
                done.wait(10)
            caller.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        done.set()
        thread.join()


def test_what_answers_without_tls_is_no_parent(tmp_path: Path) -> None:
    authority = create_authority("henan", "intl", NOW)
    http = pool("zhoukou", Credentials(certify(tmp_path, authority, "fugou"), lambda: NOW))
    with _listening(b"HTTP/1.1 200 OK\r\n\r\n") as port, pytest.raises(NotSecured, match="TLS"):
        http.request("POST", f"https://127.0.0.1:{port}/exchange", body=b"x")


def test_a_parent_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    authority = create_authority("henan", "intl", NOW)
    http = pool("zhoukou", Credentials(certify(tmp_path, authority, "fugou"), lambda: NOW))
    patience = urllib3.Timeout(connect=0.2, read=0.2)
    with _listening(b"", wait=True) as port, pytest.raises(NotSecured):
        http.request("POST", f"https://127.0.0.1:{port}/", body=b"x", timeout=patience)


def test_plain_http_stays_what_it_was(tmp_path: Path) -> None:
    """On this machine only; node.toml admits no other address without TLS."""
    http = pool("zhoukou", Credentials(tmp_path, lambda: NOW))
    with _listening(b"HTTP/1.1 204 No Content\r\n\r\n") as port:
        assert http.request("GET", f"http://127.0.0.1:{port}/").status == 204


def test_the_standard_library_verifies_us_too(tmp_path: Path) -> None:
    """With its own check of chain and host name, which ours goes beyond."""
    served = Served(tmp_path)
    try:
        plain = socket.create_connection(("127.0.0.1", served.number), 20)
        context = ssl.create_default_context(cafile=str(served.child / AUTHORITY))
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as caller:
            assert caller.version() == "TLSv1.3"
    finally:
        served.close()
