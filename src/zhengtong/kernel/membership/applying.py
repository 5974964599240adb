"""The applicant's side of joining: the request is made once and kept until it is answered."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings

from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.errors import Refused
from zhengtong.kernel.membership import authority, keeping
from zhengtong.kernel.membership.commands.directory import joined
from zhengtong.kernel.membership.telling import hosted_on
from zhengtong.kernel.messages.identity import own_card, own_keys
from zhengtong.kernel.node import NodeFileError, load
from zhengtong.wire.certificates import create_request, load_key, node_of
from zhengtong.wire.errors import WireError
from zhengtong.wire.joining import (
    JoinAnswer,
    JoinRequest,
    ask,
    fingerprint,
    read_answer,
    read_request,
    same_fingerprint,
)


def prepare(token: bytes) -> JoinRequest:
    """The request for this token: the one already made, or a new one with a new TLS key."""
    kept = pending()
    if kept is not None and kept.token == token and kept.card.keys == own_card().keys:
        return kept
    keys = own_keys()
    tls_key, csr = create_request(keys.node, keys.suite.name)
    made = ask(
        keys,
        own_card(),
        token=token,
        csr=csr,
        recovery=keeping.own_recovery_card(),
        organisations=hosted_on(keys.node),
        at=moment.now(),
    )
    keeping.write(keeping.NEXT_TLS_KEY, tls_key)
    keeping.write(keeping.JOINING, made.signed)
    return made


def pending() -> JoinRequest | None:
    """The request that has not been answered yet."""
    kept = keeping.read(keeping.JOINING)
    return read_request(kept) if kept else None


def finish(request: JoinRequest, data: bytes, *, node_file: Path, key: str) -> JoinAnswer:
    """Take the answer: admit the parent, keep certificate and directory, name it in node.toml.

    `key` is the parent's fingerprint from the invitation, empty if it is to be compared
    afterwards. Raises WireError or Refused; then nothing was changed. After an
    interruption it may be done again.
    """
    answer = read_answer(data, request)
    if key and not same_fingerprint(key, answer.card):
        raise Refused(
            "答复所用的密钥与邀请函上的指纹不符，可能有人冒充上级节点。请停止办理，"
            f"并电话核对。答复的指纹：{fingerprint(answer.card)}"
        )
    tls_key = keeping.read(keeping.NEXT_TLS_KEY)
    _check_certificate(answer, tls_key)
    joined(node_actor({"membership.joined"}), answer)
    authority.trust(answer.authority)
    if answer.certificate and tls_key:
        keeping.write(keeping.TLS_KEY, tls_key)
        keeping.write(keeping.TLS_CERTIFICATE, answer.certificate)
    name_parent(node_file, answer.card.node, answer.card.url)
    keeping.drop(keeping.NEXT_TLS_KEY)
    keeping.drop(keeping.JOINING)
    return answer


def _check_certificate(answer: JoinAnswer, tls_key: bytes) -> None:
    """The certificate must be ours, for the key we have, from the authority that came with it."""
    if not answer.certificate or not tls_key:
        return
    named = node_of(answer.certificate, answer.authority, moment.now())
    try:
        fits = load_key(tls_key).public in keeping.der_of(answer.certificate)
    except (WireError, ValueError):
        fits = False
    if named != settings.NODE.name or not fits:
        raise Refused("答复中的证书与本节点的申请不符。请向上级节点管理员申请重新邀请。")


def name_parent(path: Path, name: str, url: str) -> None:
    """Add the parent to node.toml unless it stands there; nothing else in the file changes."""
    text = path.read_text(encoding="utf-8")
    if re.search(r"^\s*\[\s*parent\s*\]", text, re.MULTILINE):
        return
    added = f'\n[parent]\nname = "{name}"\nurl = "{url.rstrip("/")}"\n'
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(text.rstrip("\n") + "\n" + added, encoding="utf-8")
    try:
        load(temporary)
    except NodeFileError as error:
        raise Refused(f"上级节点的地址无法写入 node.toml：{error}") from error
    temporary.replace(path)
