"""Bench rows `cold-start`, `second-start` and `node-memory`: the demo city of five nodes.

`cold-start`: seconds from `make run` in an empty clone to the first page, environment, keys,
databases and all; the packages come from the installer's warm cache. `second-start`: seconds from
`make run` to a page from every node, with the data of the first time. `node-memory`: megabytes of
the largest node after light use, as the sum of its processes' proportional set sizes (what several
processes share is divided among them); `rss_mb` counts shared pages in every process anew.
"""

from __future__ import annotations

import json
import re
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

from bench.city import City, clone
from bench.parts import Row, row

NAMES = ("cold-start", "second-start", "node-memory")
CLERKS = {"henan": "henan", "zhoukou": "zhoukou", "fugou": "fugou", "shenqiu": "shenqiu"}
"""Node to the organisation whose clerk uses it."""


def rows(short: bool) -> list[Row]:
    """Three rows of one clone; with `short` the light use lasts 10 s instead of a minute."""
    with clone() as made:
        with made.running() as city:
            cold = city.until_answered()
        with made.running() as city:
            second = city.until_answered()
            seconds = 10 if short else 60
            use_lightly(city, seconds)
            memory = {name: _megabytes(pids) for name, pids in city.groups().items()}
    largest = max(memory, key=lambda name: memory[name][0])
    return [
        row("cold-start", min(cold.values()), None, None, "s", all_nodes_s=max(cold.values())),
        row("second-start", max(second.values()), None, None, "s", first_s=min(second.values())),
        row(
            "node-memory",
            memory[largest][0],
            None,
            None,
            "MB",
            largest=largest,
            mean_mb=sum(pss for pss, _ in memory.values()) / len(memory),
            rss_mb=memory[largest][1],
            used_for_s=seconds,
        ),
    ]


def use_lightly(city: City, seconds: float) -> None:
    """A clerk at every office opens what the navigation offers; a citizen reads the portal."""
    password = json.loads((city.clone.data / "city.json").read_text())["password"]
    readers = {}
    for name, url in city.clone.urls.items():
        readers[name] = Reader(url)
        if name in CLERKS:
            readers[name].sign_in(f"{CLERKS[name]}-clerk", password)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for reader in readers.values():
            reader.look_around()
        time.sleep(1)


class Reader:
    """Somebody with a browser: keeps cookies, follows links."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> str:
        with self.browser.open(self.url + path, timeout=30) as answer:
            return str(answer.read().decode(errors="replace"))

    def sign_in(self, name: str, password: str) -> None:
        """Fill in the form as it stands on the page. Raises RuntimeError if it is refused."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get("/sign-in"))
        if token is None:
            raise RuntimeError("the sign-in page has no form")
        form = {"csrfmiddlewaretoken": token[1], "name": name, "password": password}
        request = urllib.request.Request(
            f"{self.url}/sign-in",
            urllib.parse.urlencode(form).encode(),
            {"Referer": f"{self.url}/sign-in", "Origin": self.url},
        )
        with self.browser.open(request, timeout=30) as answer:
            if answer.url.startswith(f"{self.url}/sign-in"):
                raise RuntimeError(f"{name} could not sign in at {self.url}")

    def look_around(self) -> None:
        """The front page, and the first few pages of this site that it leads to."""
        front = self.get("/")
        links = re.findall(r'href="(/[^"#?]*)"', front)
        pages = [link for link in dict.fromkeys(links) if not link.startswith("/static/")]
        for page in pages[:4]:
            if "sign-out" not in page:
                self.get(page)


def _megabytes(pids: list[int]) -> tuple[float, float]:
    """Proportional and plain resident set of these processes together."""
    pss = rss = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        pss += sum(map(int, re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)))
        rss += sum(map(int, re.findall(r"^Rss:\s+(\d+)", rollup, re.MULTILINE)))
    return pss / 1024, rss / 1024
