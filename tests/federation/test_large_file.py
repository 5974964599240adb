"""A large file on its way up over TLS: cut, killed and resumed, in the memory of a few pieces."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.federation.city import City, Site, alive, free_port, office_id, wait_until
from tests.server.served import certify
from zhengtong.wire.certificates import create_authority

pytestmark = [pytest.mark.long, pytest.mark.soak]

MEBIBYTES = 192
MOST_MB = 150
"""What one process of a node may hold; the node by itself is two thirds of it."""


def test_a_large_file_goes_up_two_hops_over_kills_and_cuts(city: City) -> None:
    """From a county through the city to the province; each of them dies on the way."""
    province = city.site("province", exchange_port=free_port())
    centre = city.site("centre", "province", exchange_port=free_port())
    fugou = city.site("fugou", "centre")
    city.build({"province": ["省府办"], "centre": ["市府办"], "fugou": ["扶沟县"]})
    fugou.do("route", card=province.card(), through="centre")
    province.do("route", card=fugou.card(), through="centre")
    authority = create_authority("henan", "intl", datetime.now(UTC))
    for site in city.sites.values():
        certify(site.folder / "keys", authority, site.name)
    city.start()
    wait_until(lambda: fugou.do("link", node="centre")["met"] and _met(centre), what="links")
    document = fugou.do(
        "send_large",
        clerk="扶沟县办事员",
        leader="扶沟县领导",
        to=[str(office_id("省府办"))],
        title="关于报送水位资料",
        mebibytes=MEBIBYTES,
    )
    peaks: dict[str, float] = {}
    came = 0
    for share, site, whole in ((1, centre, False), (4, fugou, True), (7, province, True)):
        came = _wait_for(province, came, MEBIBYTES * share // 16)
        _note(peaks, city)
        assert province.do("received", clerk="省府办办事员") == {}, "it was under way when killed"
        _kill(site, whole)
        came = max(came, _came(province))
        assert came, "what was acknowledged is still there"
    wait_until(
        lambda: province.do("received", clerk="省府办办事员") == {document: 1},
        180,
        "the document to come with its file",
    )
    _note(peaks, city)
    size = province.do("attachment_size", clerk="省府办办事员", document=document)
    assert size == MEBIBYTES << 20
    assert max(peaks.values()) < MOST_MB, peaks
    for site in (fugou, centre, province):
        wait_until(lambda site=site: _at_rest(site), what=f"{site.name} to rest")  # type: ignore[misc]
        assert not list((site.folder / "files" / "incoming").glob("*.part"))
    _age(centre)
    wait_until(lambda: not _transit(centre), what="what the killed processes left to be swept")


def _met(centre: Site) -> bool:
    return bool(centre.do("link", node="province")["met"])


def _came(site: Site) -> int:
    """How many letters have come up to a node."""
    return int(site.insist("link", node="centre")["received"])


def _wait_for(site: Site, before: int, number: int) -> int:
    """Until so many letters have come; what came once is never taken back."""
    found = [before]

    def enough() -> bool:
        now = _came(site)
        assert now >= found[0]
        found[0] = now
        return now >= number

    wait_until(enough, 180, f"{number} letters to come to {site.name}")
    return found[0]


def _kill(site: Site, whole: bool) -> None:
    """kill -9: the node with all it is, or its processes, whose supervisor starts others."""
    if whole:
        site.kill()
        site.start()
        return
    victims = site.children()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(site.children()) == len(victims) and not {*site.children()} & {*victims})


def _note(peaks: dict[str, float], city: City) -> None:
    """The most memory (MB) that any process of each node has held so far; the dead hold none."""
    for site in city.sites.values():
        for pid in filter(alive, site.children()):
            status = Path(f"/proc/{pid}/status").read_text()
            held = [line for line in status.splitlines() if line.startswith("VmHWM:")]
            peaks[f"{site.name} {pid}"] = max(int(line.split()[1]) * 1024 / 1e6 for line in held)


def _transit(site: Site) -> list[Path]:
    return list((site.folder / "files" / "transit").glob("*"))


def _age(site: Site) -> None:
    """Let two days pass for what lies in transit; whoever sweeps it looks when it starts."""
    site.kill()
    then = time.time() - 2 * 86400
    for path in _transit(site):
        os.utime(path, (then, then))
    site.start()


def _at_rest(site: Site) -> bool:
    left = site.insist("counts")
    assert (left["refused"], left["dead"]) == (0, 0)
    return not any(left[name] for name in ("pending", "waiting", "unreceipted", "unsealed"))
