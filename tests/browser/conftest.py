"""The demo city as `make run` starts it, and Debian's Chromium at two widths."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.federation.city import ROOT, free_port

SHOTS = Path(__file__).parent / "screenshots"
WIDTHS = {"desk": (1280, 900), "phone": (375, 812)}
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class DemoCity:
    """The running demo: where its nodes are and how people sign in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first_port = _free_run_of_ports(5)
        names = ["henan", "zhoukou", "zhoukou-portal", "fugou", "shenqiu"]
        self.urls = {
            name: f"http://127.0.0.1:{self.first_port + offset}"
            for offset, name in enumerate(names)
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, without: str = "") -> None:
        log = (self.folder.parent / "demo.log").open("ab")
        command = [sys.executable, "-m", "zhengtong", "demo", "--folder", str(self.folder)]
        command += ["--first-port", str(self.first_port)]
        command += ["--without", without] if without else []
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ZHENGTONG")}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        for name, url in self.urls.items():
            if name != without:
                _wait_for(f"{url}/static/ui/zhengtong.css")

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
            self.process = None

    def start_node(self, name: str) -> subprocess.Popen[bytes]:
        """Start one node that was left out, by itself."""
        node_file = self.folder / name / "node.toml"
        command = [sys.executable, "-m", "zhengtong", "--node", str(node_file), "serve"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ZHENGTONG")}
        log = (self.folder.parent / f"{name}.log").open("ab")
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        _wait_for(f"{self.urls[name]}/static/ui/zhengtong.css")
        return started

    @property
    def password(self) -> str:
        return str(json.loads((self.folder / "city.json").read_text())["password"])


def _free_run_of_ports(count: int) -> int:
    """The first of `count` ports in a row that are free just now."""
    import socket

    while True:
        first = free_port()
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first


def _wait_for(url: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.2)
    raise AssertionError(f"{url} did not answer in {seconds} s")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoCity]:
    """The city, with one county's node left off until the story starts it."""
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir(parents=True)
    city = DemoCity(tmp_path_factory.mktemp("city") / "demo")
    city.start(without="shenqiu")
    yield city
    city.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=FLAGS, headless=True
        )
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def last_sight(request: pytest.FixtureRequest) -> Iterator[None]:
    """When a test fails, keep a picture of every page that was open."""
    yield
    failed = request.session.testsfailed
    for number, desk in enumerate(Desk.open):
        if failed:
            desk.page.screenshot(path=SHOTS / f"failed-{number}.png", full_page=True)
        desk.context.close()
    Desk.open.clear()


class Desk:
    """One signed-in person at a browser of their own."""

    open: ClassVar[list[Desk]] = []

    def __init__(self, browser: Browser, base: str, width: str = "desk") -> None:
        self.open.append(self)
        size = WIDTHS[width]
        self.context: BrowserContext = browser.new_context(
            base_url=base,
            viewport={"width": size[0], "height": size[1]},
            locale="zh-CN",
            accept_downloads=True,
        )
        self.width = width
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.faults: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def _note(self, message: object) -> None:
        text = getattr(message, "text", "")
        meant = "favicon" in text or "status of 422" in text  # a form that came back
        if getattr(message, "type", "") == "error" and not meant:
            self.faults.append(f"{text} {getattr(message, 'location', '')}")

    def sign_in(self, name: str, password: str) -> Desk:
        self.page.goto("/sign-in")
        self.page.get_by_label("用户名").fill(name)
        self.page.get_by_label("口令").fill(password)
        self.page.get_by_role("button", name="登录").click()
        self.page.wait_for_url("**/")
        return self

    def shot(self, name: str) -> None:
        """A picture of the whole page at this desk's width, and on a phone as well."""
        self.page.screenshot(path=SHOTS / f"{name}-{self.width}.png", full_page=True)
        if self.width == "desk":
            self.page.set_viewport_size({"width": 375, "height": 812})
            self.page.screenshot(path=SHOTS / f"{name}-phone.png", full_page=True)
            self.page.set_viewport_size({"width": 1280, "height": 900})

    def close(self) -> None:
        self.open.remove(self)
        self.context.close()
