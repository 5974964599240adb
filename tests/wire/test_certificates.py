"""Node certificates of both suites, and what every other certificate is refused for."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from zhengtong.wire.certificate_faults import BadCertificate, Fault
from zhengtong.wire.certificate_keys import kind_of
from zhengtong.wire.certificates import (
    Authority,
    create_authority,
    create_request,
    expires_at,
    issue,
    load_key,
    node_of,
    revoke,
)
from zhengtong.wire.errors import Refusal, WireError

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTS = ["127.0.0.1", "::1", "fugou.example"]
both = pytest.mark.parametrize("suite", ["intl", "gm"])


def certified(suite: str = "intl", node: str = "fugou") -> tuple[Authority, bytes, bytes]:
    """An authority, and a certificate of it with its key."""
    authority = create_authority("henan", suite, NOW)
    key, request = create_request(node, suite)
    return authority, issue(authority, request, node, HOSTS, NOW), key


def fault_of(certificate: bytes, authority: bytes, now: datetime = NOW) -> Fault:
    with pytest.raises(BadCertificate) as refused:
        node_of(certificate, authority, now)
    assert refused.value.code is Refusal.BAD_CERTIFICATE
    return refused.value.fault


@both
def test_a_certificate_names_its_node_while_it_is_valid(suite: str) -> None:
    authority, certificate, _ = certified(suite)
    assert node_of(certificate, authority.certificate, NOW) == "fugou"
    assert expires_at(certificate) == NOW + 365 * DAY
    assert node_of(certificate, authority.certificate, NOW + 364 * DAY) == "fugou"
    assert fault_of(certificate, authority.certificate, NOW + 366 * DAY) is Fault.EXPIRED
    assert fault_of(certificate, authority.certificate, NOW - DAY) is Fault.NOT_YET_VALID


@both
def test_another_authority_of_the_same_name_counts_for_nothing(suite: str) -> None:
    _, certificate, _ = certified(suite)
    other = create_authority("henan", suite, NOW)
    assert fault_of(certificate, other.certificate) is Fault.UNKNOWN_AUTHORITY


def test_authorities_of_both_suites_are_trusted_side_by_side() -> None:
    intl, first, _ = certified("intl")
    gm, second, _ = certified("gm", "shenqiu")
    trusted = intl.certificate + gm.certificate
    assert [node_of(item, trusted, NOW) for item in (first, second)] == ["fugou", "shenqiu"]


@both
def test_no_certificate_outlives_its_authority(suite: str) -> None:
    authority = create_authority("henan", suite, NOW, days=30)
    _, request = create_request("fugou", suite)
    certificate = issue(authority, request, "fugou", [], NOW)
    assert expires_at(certificate) == NOW + 30 * DAY
    assert fault_of(certificate, authority.certificate, NOW + 31 * DAY) is Fault.EXPIRED


@both
def test_one_changed_byte_is_noticed(suite: str) -> None:
    authority, certificate, _ = certified(suite)
    data = bytearray(x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER))
    place = data.index(b"urn:zhengtong:node:fugou") + len("urn:zhengtong:node:f")
    data[place] ^= 1
    forged = x509.load_der_x509_certificate(bytes(data)).public_bytes(Encoding.PEM)
    assert fault_of(forged, authority.certificate) is Fault.UNKNOWN_AUTHORITY


def test_an_authority_is_no_node() -> None:
    authority, _, _ = certified()
    assert fault_of(authority.certificate, authority.certificate) is Fault.NOT_A_NODE


def test_a_node_is_no_authority() -> None:
    authority, certificate, key = certified()
    _, request = create_request("shenqiu", "intl")
    forged = issue(Authority(certificate, key), request, "shenqiu", [], NOW)
    assert fault_of(forged, authority.certificate) is Fault.UNKNOWN_AUTHORITY
    assert fault_of(forged, authority.certificate + certificate) is Fault.UNKNOWN_AUTHORITY


@pytest.mark.parametrize("uris", [[], ["urn:zhengtong:node:a", "urn:zhengtong:node:b"], ["urn:x"]])
def test_a_certificate_that_names_no_single_node(uris: list[str]) -> None:
    """Made by another tool with the authority's key: an ordinary server certificate."""
    authority, _, _ = certified()
    above = x509.load_pem_x509_certificate(authority.certificate)
    key = load_key(authority.key).key  # type: ignore[attr-defined]
    names = [x509.UniformResourceIdentifier(uri) for uri in uris]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(above.subject)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example"), *names]), True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    assert fault_of(made, authority.certificate) is Fault.NOT_A_NODE


@both
def test_a_certificate_is_taken_back_by_its_own_authority_alone(suite: str) -> None:
    authority, certificate, _ = certified(suite)
    stranger = create_authority("henan", suite, NOW)
    others = revoke(authority, [], 1, NOW) + revoke(stranger, [certificate], 1, NOW)
    assert node_of(certificate, authority.certificate, NOW, others) == "fugou"
    lists = others + revoke(authority, [certificate], 2, NOW)
    with pytest.raises(BadCertificate) as refused:
        node_of(certificate, authority.certificate, NOW + 90 * DAY, lists)  # the next is overdue
    assert refused.value.fault is Fault.REVOKED
    damaged = b"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n"
    with pytest.raises(BadCertificate) as unreadable:
        node_of(certificate, authority.certificate, NOW, damaged)
    assert unreadable.value.fault is Fault.UNREADABLE


@both
def test_only_a_node_s_own_request_is_signed(suite: str) -> None:
    authority, _, _ = certified(suite)
    _, request = create_request("fugou", suite)
    with pytest.raises(WireError, match="not for node shenqiu"):
        issue(authority, request, "shenqiu", [], NOW)
    with pytest.raises(WireError, match="not a certificate request"):
        issue(authority, b"", "fugou", [], NOW)
    other = create_authority("henan", "gm" if suite == "intl" else "intl", NOW)
    with pytest.raises(WireError, match="of another suite"):
        issue(other, request, "fugou", [], NOW)


@both
def test_a_request_needs_the_signature_of_its_own_key(suite: str) -> None:
    """Somebody else's public key cannot be certified as one's own."""
    authority, _, _ = certified(suite)
    _, request = create_request("fugou", suite)
    signature_at = request.rindex(b"\n-----END") - 12
    letter = b"A" if request[signature_at : signature_at + 1] != b"A" else b"B"
    forged = request[:signature_at] + letter + request[signature_at + 1 :]
    with pytest.raises(WireError) as refused:
        issue(authority, forged, "fugou", [], NOW)
    assert refused.value.code in (Refusal.BAD_SIGNATURE, Refusal.MALFORMED)


@both
def test_keys_are_read_back(suite: str) -> None:
    _, certificate, key = certified(suite)
    found = load_key(key)
    kind = kind_of(suite)
    assert kind.verify(found.public, found.sign(b"text"), b"text")
    assert not kind.verify(found.public, found.sign(b"text"), b"other")
    with pytest.raises(WireError, match="not the private key"):
        load_key(certificate)
    assert "PRIVATE" not in repr(found) and found.to_pem().decode() not in repr(found)


@given(st.binary(max_size=300))
def test_nothing_but_a_typed_refusal_comes_of_noise(noise: bytes) -> None:
    authority, _, _ = _FIXED
    with pytest.raises(BadCertificate):
        node_of(noise, authority.certificate, NOW)
    with pytest.raises(WireError):
        issue(authority, noise, "fugou", [], NOW)
    with pytest.raises(WireError):
        load_key(noise)


_FIXED = certified()


@given(st.data())
def test_nothing_but_a_typed_refusal_comes_of_damage(data: st.DataObject) -> None:
    authority, certificate, _ = _FIXED
    place = data.draw(st.integers(0, len(certificate) - 1))
    value = data.draw(st.integers(0, 255))
    damaged = certificate[:place] + bytes([value]) + certificate[place + 1 :]
    try:
        assert node_of(damaged, authority.certificate, NOW) == "fugou"
    except WireError:
        return


@pytest.mark.debian
class TestOpenssl:
    """The system's `openssl` reads what we write. It has SM2, whose identifier it must be told."""

    def said(self, *words: str) -> str:
        done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    @both
    def test_it_verifies_the_chain(self, suite: str, tmp_path: Path) -> None:
        paths = self.files(suite, tmp_path)
        identifier = ["-vfyopt", "distid:1234567812345678"] if suite == "gm" else []
        for purpose in ("sslclient", "sslserver"):
            chain = ["-x509_strict", "-CAfile", paths["authority"], "-purpose", purpose]
            at = ["-attime", str(int(NOW.timestamp()))]
            said = self.said("verify", *chain, *at, *identifier, paths["certificate"])
            assert said.strip().endswith("OK")

    @both
    def test_it_verifies_the_request_and_the_key(self, suite: str, tmp_path: Path) -> None:
        paths = self.files(suite, tmp_path)
        identifier = ["-vfyopt", "distid:1234567812345678"] if suite == "gm" else []
        assert "verify OK" in self.said("req", "-verify", *identifier, "-in", paths["request"])
        assert "Key is valid" in self.said("pkey", "-check", "-noout", "-in", paths["key"])

    @both
    def test_it_sees_what_was_taken_back(self, suite: str, tmp_path: Path) -> None:
        authority, certificate, _ = certified(suite)
        _, request = create_request("shenqiu", suite)
        kept = issue(authority, request, "shenqiu", [], NOW)
        files = {
            "ca": authority.certificate,
            "crl": revoke(authority, [certificate], 1, NOW),
            "taken": certificate,
            "kept": kept,
        }
        for name, pem in files.items():
            (tmp_path / name).write_bytes(pem)
        if suite == "intl":  # `openssl crl` takes no identifier
            listed = ["-CAfile", str(tmp_path / "ca"), "-in", str(tmp_path / "crl")]
            assert "verify OK" in self.said("crl", "-noout", *listed)
            chain = ["-crl_check", "-CRLfile", str(tmp_path / "crl"), *listed[:2]]
            at = ["-attime", str(int(NOW.timestamp()))]
            assert "OK" in self.said("verify", *chain, *at, str(tmp_path / "kept"))
            with pytest.raises(AssertionError, match="certificate revoked"):
                self.said("verify", *chain, *at, str(tmp_path / "taken"))
        text = self.said("crl", "-noout", "-text", "-in", str(tmp_path / "crl"))
        serial = x509.load_pem_x509_certificate(certificate).serial_number
        assert f"{serial:X}" in text

    @both
    def test_it_reads_the_same_facts(self, suite: str, tmp_path: Path) -> None:
        text = self.said(
            "x509", "-noout", "-text", "-in", self.files(suite, tmp_path)["certificate"]
        )
        for fact in (
            "Subject: CN = fugou",
            "URI:urn:zhengtong:node:fugou, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, "
            "DNS:fugou.example",
            "TLS Web Server Authentication, TLS Web Client Authentication",
            "Basic Constraints: critical",
            "CA:FALSE",
            "Not After : Jun  1 08:00:00 2027 GMT",
            {"intl": "ecdsa-with-SHA256", "gm": "SM2-with-SM3"}[suite],
            {"intl": "prime256v1", "gm": "SM2"}[suite],
        ):
            assert fact in text

    def test_a_request_made_by_openssl_is_signed_too(self, tmp_path: Path) -> None:
        request = tmp_path / "request.pem"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(request)]
        self.said("req", "-new", *curve, "-subj", "/CN=fugou", "-utf8", *files)
        authority, _, _ = certified()
        certificate = issue(authority, request.read_bytes(), "fugou", [], NOW)
        assert node_of(certificate, authority.certificate, NOW) == "fugou"
        assert load_key((tmp_path / "key.pem").read_bytes()).public

    def files(self, suite: str, folder: Path) -> dict[str, str]:
        authority, certificate, _ = certified(suite)
        key, request = create_request("fugou", suite)
        made = {
            "authority": authority.certificate,
            "certificate": certificate,
            "request": request,
            "key": key,
        }
        for name, pem in made.items():
            (folder / name).write_bytes(pem)
        return {name: str(folder / name) for name in made}
