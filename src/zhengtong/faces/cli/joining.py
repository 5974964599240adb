"""`zhengtong node invite|join|approve|refuse`: how a node comes to belong."""

from __future__ import annotations

import argparse
import base64
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhengtong.faces.cli.persons import add_person, person_at
from zhengtong.faces.cli.start import CommandFailed, enter
from zhengtong.kernel.labels import DEFAULT_CEILING, Level, Zone

if TYPE_CHECKING:
    from zhengtong.kernel.membership.models import Invitation

POLL_EVERY = 3.0
LETTER = """\
invitation to the node {node} ({title})

  address of this node   {url}
  token                  {token}
  fingerprint            {fingerprint}
  zone, ceiling          {zone}, {ceiling}
  good until             {until}

At the node {node}, with name = "{node}", zone = "{zone}" and ceiling = "{ceiling}" in node.toml:

  zhengtong node join {url} {token} \\
      --key "{fingerprint}"

Hand this over in person or sealed. The token is not kept here and cannot be shown again.
"""


def add(acts: Any) -> None:
    invite = acts.add_parser("invite", help="invite a node: prints its one-time token")
    invite.add_argument("name", help="the name it will bear: a-z, 0-9 and -")
    invite.add_argument("--title", required=True, help="what people call it")
    invite.add_argument("--zone", choices=[zone.value for zone in Zone], default="private")
    invite.add_argument("--ceiling", help="the highest level it may hold, such as 工作秘密")
    invite.add_argument("--days", type=int, default=7, help="how long the token is good")
    add_person(invite)
    invite.set_defaults(run=run_invite)

    join = acts.add_parser("join", help="at the new node: ask to join, and take the answer")
    join.add_argument("words", nargs="*", metavar="URL TOKEN", help="the parent's address, token")
    join.add_argument("--key", default="", help="the parent's fingerprint from the invitation")
    join.add_argument("--out", type=Path, metavar="FILE", help="without a line: write the request")
    join.add_argument(
        "--in", dest="answer", type=Path, metavar="FILE", help="without a line: take the answer"
    )
    join.add_argument("--wait", type=float, default=3600.0, help="seconds to wait for approval")
    join.set_defaults(run=run_join)

    approve = acts.add_parser("approve", help="approve a request; two people must")
    approve.add_argument("name", help="the node that asks")
    approve.add_argument("--request", type=Path, metavar="FILE", help="its request, if by file")
    approve.add_argument("--answer", type=Path, metavar="FILE", help="write the answer for it")
    add_person(approve)
    approve.set_defaults(run=run_approve)

    refuse = acts.add_parser("refuse", help="refuse a request, or take an invitation back")
    refuse.add_argument("name", help="the node")
    refuse.add_argument("--reason", required=True, help="what the applicant is told")
    add_person(refuse)
    refuse.set_defaults(run=run_refuse)


def run_invite(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from django.conf import settings

    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.membership.commands.joining import invite
    from zhengtong.kernel.messages.identity import own_card
    from zhengtong.kernel.moment import CHINA
    from zhengtong.wire.joining import fingerprint, new_token, write_token

    try:
        word = chosen.ceiling or DEFAULT_CEILING[Zone(chosen.zone)].word
        ceiling = Level.from_word(word)
    except ValueError as error:
        raise CommandFailed(str(error)) from error
    token = new_token()
    try:
        made = invite(
            person_at(chosen),
            node=chosen.name,
            title=chosen.title,
            zone=chosen.zone,
            ceiling=int(ceiling),
            token=token,
            life=timedelta(days=chosen.days),
        )
    except HouseError as error:
        raise CommandFailed(error.message) from error
    print(
        LETTER.format(
            node=made.node,
            title=made.title,
            url=settings.NODE.url,
            token=write_token(token),
            fingerprint=fingerprint(own_card()),
            zone=made.zone,
            ceiling=ceiling.word,
            until=f"{made.expires_at.astimezone(CHINA):%Y-%m-%d %H:%M}",
        )
    )
    return 0


def run_join(chosen: argparse.Namespace) -> int:
    """Ask by the line until there is an answer, or by file: write the request, take the answer."""
    enter(chosen.node)
    from zhengtong.kernel.errors import HouseError
    from zhengtong.wire.errors import WireError

    try:
        if chosen.answer:
            return _take(chosen, _unwrap(chosen.answer, "answer"))
        if chosen.out and len(chosen.words) == 1:
            return _write_request(chosen)
        if len(chosen.words) == 2 and not chosen.out:
            return _ask(chosen)
    except WireError as error:
        raise CommandFailed(error.en) from error
    except HouseError as error:
        raise CommandFailed(error.message) from error
    raise CommandFailed("say `join URL TOKEN`, `join TOKEN --out FILE` or `join --in FILE`.")


def _ask(chosen: argparse.Namespace) -> int:
    from zhengtong.kernel.membership.applying import prepare
    from zhengtong.wire.joining import fingerprint, read_token

    url, token = chosen.words
    asked = prepare(read_token(token))
    print(f"our fingerprint: {fingerprint(asked.card)}. Tell it to them by telephone.", flush=True)
    until, seen = time.monotonic() + chosen.wait, -1
    while True:
        status, data = post(f"{url.rstrip('/')}/exchange/join", asked.signed)
        if status == 200:
            return _take(chosen, data)
        if status != 202:
            raise CommandFailed(_reason(status, data))
        approved = int(json.loads(data)["approved"])
        if approved != seen:
            print(f"waiting for approval: {approved} of 2", flush=True)
            seen = approved
        if time.monotonic() > until:
            raise CommandFailed("not approved yet. Say the same again later to go on.")
        time.sleep(POLL_EVERY)


def _write_request(chosen: argparse.Namespace) -> int:
    from zhengtong.kernel.membership.applying import prepare
    from zhengtong.wire.joining import fingerprint, read_token

    asked = prepare(read_token(chosen.words[0]))
    _wrap(chosen.out, "request", asked.signed)
    print(f"{chosen.out}: carry it to the parent. Our fingerprint: {fingerprint(asked.card)}")
    return 0


def _take(chosen: argparse.Namespace, data: bytes) -> int:
    from zhengtong.kernel.membership.applying import finish, pending
    from zhengtong.wire.joining import fingerprint

    asked = pending()
    if asked is None:
        raise CommandFailed("no request of ours waits for an answer. Ask first: join URL TOKEN")
    answer = finish(asked, data, node_file=chosen.node, key=chosen.key)
    print(f"✓ joined {answer.card.node} ({answer.card.title})")
    if not chosen.key:
        print(f"  compare its fingerprint with the invitation: {fingerprint(answer.card)}")
    print("  start the node, or start it again: zhengtong serve")
    return 0


def run_approve(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.membership.commands import joining
    from zhengtong.kernel.membership.models import Stage
    from zhengtong.wire.errors import WireError
    from zhengtong.wire.joining import fingerprint
    from zhengtong.wire.keys import NodeCard

    actor = person_at(chosen)
    try:
        if chosen.request:
            _take_request(_unwrap(chosen.request, "request"))
        found = joining.approve(actor, _invitation(chosen.name).pk)
    except WireError as error:
        raise CommandFailed(error.en) from error
    except HouseError as error:
        raise CommandFailed(error.message) from error
    card = NodeCard.from_cbor(bytes(found.card))
    print(f"✓ approved by {actor.name}: {found.node}, fingerprint {fingerprint(card)}")
    if found.stage != Stage.ADMITTED:
        print("  another administrator must approve as well")
        return 0
    print(f"✓ {found.node} is admitted")
    if chosen.answer:
        _wrap(chosen.answer, "answer", bytes(found.answer))
        print(f"  {chosen.answer}: carry it back; there: zhengtong node join --in FILE")
    return 0


def _take_request(data: bytes) -> None:
    from zhengtong.kernel.directory.actors import node_actor
    from zhengtong.kernel.membership.commands.joining import join_requested
    from zhengtong.wire.joining import read_request

    join_requested(node_actor({"membership.join_requested"}), read_request(data))


def run_refuse(chosen: argparse.Namespace) -> int:
    enter(chosen.node)
    from zhengtong.kernel.errors import HouseError
    from zhengtong.kernel.membership.commands import joining
    from zhengtong.kernel.membership.models import Stage

    found, actor = _invitation(chosen.name), person_at(chosen)
    try:
        if found.stage == Stage.OPEN:
            joining.withdraw(actor, found.pk)
        else:
            joining.refuse(actor, found.pk, reason=chosen.reason)
    except HouseError as error:
        raise CommandFailed(error.message) from error
    print(f"✓ {chosen.name} is not admitted")
    return 0


def _invitation(name: str) -> Invitation:
    from zhengtong.kernel.membership.queries import invitations

    found = invitations().filter(node=name).first()
    if found is None:
        raise CommandFailed(f"{name} has not been invited. See: zhengtong node directory")
    return found


def post(url: str, data: bytes) -> tuple[int, bytes]:
    """Status and body of the other node's answer. Raises CommandFailed when it is out of reach.

    The certificate is not checked yet: who answers is told by the fingerprint of a signed answer.
    """
    import urllib3

    urllib3.disable_warnings()
    pool = urllib3.PoolManager(retries=False, cert_reqs="CERT_NONE")
    try:
        answer = pool.request(
            "POST",
            url,
            body=data,
            headers={"Content-Type": "application/cbor"},
            timeout=urllib3.Timeout(connect=5, read=60),
        )
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise CommandFailed(
            f"{url} cannot be reached: {type(error).__name__}. Check the line."
        ) from error
    return answer.status, answer.data


def _reason(status: int, data: bytes) -> str:
    """The parent's typed refusal, or what came instead of one."""
    try:
        said = json.loads(data)
        return f"{said['refused']}: {said['text']}"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status} instead of an answer. Is this the address of a node?"


def _wrap(path: Path, what: str, data: bytes) -> None:
    path.write_text(json.dumps({what: base64.b64encode(data).decode()}), encoding="utf-8")


def _unwrap(path: Path, what: str) -> bytes:
    try:
        return base64.b64decode(json.loads(path.read_text(encoding="utf-8"))[what], validate=True)
    except OSError as error:
        raise CommandFailed(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"{path} holds no {what}.") from error
