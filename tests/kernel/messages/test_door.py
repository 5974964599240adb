"""Who may bring a batch to the door: over TLS its own node, without TLS only this machine."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from tests.federation.neighbour import Poser
from zhengtong.faces.doorbell import who
from zhengtong.kernel.messages.identity import own_card
from zhengtong.kernel.messages.models import Neighbour


def bring(batch: bytes, **about: Any) -> tuple[int, str]:
    """Status and refusal code; `about` is what the server knows of the connection."""
    answer = Client().post("/exchange", batch, content_type="application/cbor", **about)
    refused = answer["Content-Type"].startswith("application/json")
    return answer.status_code, json.loads(answer.content)["refused"] if refused else ""


def met() -> bool:
    """Whether anything of fugou's was taken."""
    return Neighbour.objects.get(name="fugou").last_contact is not None


def by_certificate(node: str) -> dict[str, str]:
    return {"zhengtong.node": node, "REMOTE_ADDR": "192.0.2.7"}


def test_a_node_brings_its_own_batches_only(fugou: Poser) -> None:
    shenqiu = Poser(own_card(), "shenqiu").admitted()
    for brought, node in ((fugou, "shenqiu"), (fugou, "henan"), (shenqiu, "fugou")):
        assert bring(brought.batch(), **by_certificate(node)) == (403, "bad_certificate")
    assert not met()
    assert bring(fugou.batch(), **by_certificate("fugou")) == (200, "")
    assert met()


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "2001:db8::1"])
def test_without_tls_no_other_machine_is_heard(fugou: Poser, address: str) -> None:
    assert bring(fugou.batch(), REMOTE_ADDR=address) == (403, "bad_certificate")
    forged = {"HTTP_ZHENGTONG_NODE": "fugou", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}
    assert bring(fugou.batch(), REMOTE_ADDR=address, **forged) == (403, "bad_certificate")
    assert not met()
    for here in ("127.0.0.1", "::1"):
        assert bring(fugou.batch(), REMOTE_ADDR=here) == (200, "")


def test_a_node_that_receives_over_tls_takes_nothing_without(
    fugou: Poser, settings: LazySettings
) -> None:
    settings.NODE = replace(settings.NODE, exchange_url="https://test.example:8200")
    assert bring(fugou.batch()) == (403, "bad_certificate")
    assert bring(fugou.batch(), **by_certificate("fugou")) == (200, "")


@pytest.mark.django_db(transaction=True)
def test_the_doorbell_asks_the_same(fugou: Poser) -> None:
    def proof() -> str:
        return f"Batch {base64.urlsafe_b64encode(fugou.batch()).decode()}"

    assert who(proof(), "", "127.0.0.1:999") == "fugou"
    assert who(proof(), "fugou", "192.0.2.7:999") == "fugou"
    assert who(proof(), "shenqiu", "192.0.2.7:999") is None
    assert who(proof(), "", "192.0.2.7:999") is None
