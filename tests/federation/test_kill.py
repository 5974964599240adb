"""Processes die at any moment, and every document that was acknowledged arrives exactly once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from tests.federation.city import City, Site, office_id, wait_until


class Reaper(threading.Thread):
    """Kills what the plan says, spread over the work: after so much work so many have died."""

    def __init__(self, sites: list[Site], seed: int, rounds: int) -> None:
        super().__init__(name="reaper", daemon=True)
        self.source, self.killed = random.Random(seed), 0
        victims = ("child", "child", "driver", "child", "supervisor")
        self.plan = [(site, victim) for _ in range(rounds) for site in sites for victim in victims]
        self.source.shuffle(self.plan)
        self.failed: BaseException | None = None

    def may_go(self, share: float) -> bool:
        """Whether as much has been killed as belongs to this share of the work."""
        return not self.is_alive() or self.killed >= int(share * len(self.plan))

    def run(self) -> None:
        try:
            for site, victim in self.plan:
                time.sleep(self.source.uniform(0.05, 0.5))
                self._kill(site, victim)
                self.killed += 1
        except BaseException as error:
            self.failed = error
            raise

    def _kill(self, site: Site, victim: str) -> None:
        if victim == "driver":
            site.kill_driver()
        elif victim == "supervisor":
            site.kill()
            site.start()
        elif below := site.children():
            with suppress(ProcessLookupError):
                os.kill(self.source.choice(below), signal.SIGKILL)


def _documents_under_fire(city: City, number: int, rounds: int, seed: int) -> None:
    city.site("centre")
    city.site("fugou", "centre")
    city.build({"centre": ["市府办"], "fugou": ["扶沟县"]})
    centre, fugou = city.sites["centre"], city.sites["fugou"]
    documents = centre.do(
        "prepare",
        clerk="市府办办事员",
        leader="市府办领导",
        to=[str(office_id("扶沟县"))],
        number=number,
    )
    city.start()
    signed: set[str] = set()
    reaper = Reaper([centre, fugou], seed, rounds)

    def dispatch() -> None:
        for place, document in enumerate(documents):
            wait_until(lambda share=place / number: reaper.may_go(share), 60)  # type: ignore[misc]
            centre.insist("dispatch", clerk="市府办办事员", document=document)

    def sign() -> None:
        deadline = time.monotonic() + 120
        while len(signed) < number:
            for document in fugou.insist("waiting", clerk="扶沟县办事员"):
                fugou.insist("sign_for", clerk="扶沟县办事员", document=document)
                signed.add(document)
            assert time.monotonic() < deadline, f"{len(signed)} of {number} documents came"
            time.sleep(0.1)

    reaper.start()
    with ThreadPoolExecutor(2) as pool:
        work: list[Future[None]] = [pool.submit(dispatch), pool.submit(sign)]
        for one in work:
            one.result()
    reaper.join(60)
    assert not reaper.failed and reaper.killed == len(reaper.plan)

    everything = dict.fromkeys(documents, 1)
    assert fugou.insist("received", clerk="扶沟县办事员") == everything
    wait_until(
        lambda: set(centre.insist("signed_for", clerk="市府办办事员")) == set(documents),
        what="every signature to be known at the sender",
    )
    for site in (centre, fugou):
        wait_until(lambda site=site: _at_rest(site.insist("counts")), what=f"{site.name} to rest")  # type: ignore[misc]
        site.stop()
        assert not site.examine("--audit")


def _at_rest(left: dict[str, Any]) -> bool:
    assert (left["refused"], left["dead"]) == (0, 0)
    return not any(left[name] for name in ("pending", "waiting", "unreceipted", "unsealed"))


def test_no_acknowledged_document_is_lost_or_doubled(city: City) -> None:
    _documents_under_fire(city, number=250, rounds=3, seed=20260302)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 20260302])
def test_nor_when_twice_as_many_are_sent_in_other_orders_of_deaths(city: City, seed: int) -> None:
    _documents_under_fire(city, number=500, rounds=3, seed=seed)
