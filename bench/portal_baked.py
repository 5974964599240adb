"""Bench rows `portal-baked` and `portal-nginx`: the same article page, one process each.

Both serve the same bytes (about 38 KB of Chinese HTML) over loopback, uncompressed, to
`wrk -t1 -c16`. nginx has one worker and sendfile. `portal-baked` is our server alone over nginx;
`portal-nginx` is nginx in front of the baked tree as publishing leaves it, over nginx with a
plain file. Runs alternate and the best of three counts, since other work disturbs either side.

`cpu_us` is processor time for one request, which other work disturbs less.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.parts import (
    CannotRun,
    Row,
    child_processes,
    cpu_seconds,
    free_ports,
    row,
    wait_for_port,
)
from zhengtong.kernel.baked import BakedStore

NAMES = ("portal-baked", "portal-nginx")
ROUNDS = 3
PATH = "/policy/2026/1.html"

NGINX = """
worker_processes 1;
daemon off;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx.log;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    charset utf-8;
    types {{ text/html html; }}
    client_body_temp_path {scratch}/t1;
    proxy_temp_path {scratch}/t2;
    fastcgi_temp_path {scratch}/t3;
    uwsgi_temp_path {scratch}/t4;
    scgi_temp_path {scratch}/t5;
    server {{ listen 127.0.0.1:{plain}; root {scratch}/plain; }}
    server {{ listen 127.0.0.1:{baked}; root {scratch}/baked; gzip_static on; }}
}}
"""


def article() -> bytes:
    """A page as the portal bakes it: some 38 KB."""
    paragraph = (
        "<p>各县（市、区）人民政府，市政府各部门：为进一步做好汛期安全工作，现通知如下。</p>\n"
    )
    head = '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>通知</title><main>'
    return (head + paragraph * 316 + "</main></html>").encode()


def rows(short: bool) -> list[Row]:
    """Two rows of nine runs altogether, each of 5 s, or of 2 s with `short`."""
    missing = [tool for tool in ("nginx", "wrk") if shutil.which(tool) is None]
    if missing:
        raise CannotRun(f"needed and not installed: {', '.join(missing)}; run tools/debian")
    with tempfile.TemporaryDirectory(prefix="zhengtong-bench-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        BakedStore(scratch / "baked").write(PATH, article(), "text/html")
        plain = scratch / "plain" / PATH.lstrip("/")
        plain.parent.mkdir(parents=True)
        plain.write_bytes(article())
        ours, baked_port, plain_port = free_ports(3)
        with (
            nginx(scratch, plain_port, baked_port) as master,
            our_server(scratch / "baked", ours) as server,
        ):
            (worker,) = child_processes(master)
            serves = {ours: server, plain_port: worker, baked_port: worker}
            best = dict.fromkeys(serves, 0.0)
            cheapest = dict.fromkeys(serves, float("inf"))
            for _ in range(ROUNDS):
                for port, pid in serves.items():
                    before = cpu_seconds(pid)
                    rate, requests = load(port, 2 if short else 5)
                    spent = (cpu_seconds(pid) - before) / requests * 1e6
                    best[port] = max(best[port], rate)
                    cheapest[port] = min(cheapest[port], spent)
    return [
        row(
            name,
            best[port],
            best[plain_port],
            best[port] / best[plain_port],
            "req/s",
            cpu_us=cheapest[port],
            reference_cpu_us=cheapest[plain_port],
        )
        for name, port in zip(NAMES, (ours, baked_port), strict=True)
    ]


def load(port: int, seconds: int) -> tuple[float, int]:
    """Requests a second and in all, in one run of wrk; raises if any answer was not the page."""
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://127.0.0.1:{port}{PATH}"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate, requests = (
        re.search(r"Requests/sec:\s+([\d.]+)", told),
        re.search(r"(\d+) requests", told),
    )
    if rate is None or requests is None or "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(told)
    return float(rate[1]), int(requests[1])


@contextmanager
def nginx(scratch: Path, plain: int, baked: int) -> Iterator[int]:
    """nginx with one worker on two ports; the number of its master process."""
    user = "user root;" if os.geteuid() == 0 else ""
    config = scratch / "nginx.conf"
    config.write_text(NGINX.format(scratch=scratch, plain=plain, baked=baked, user=user))
    with running(["nginx", "-c", str(config), "-e", str(scratch / "nginx.log")], plain) as pid:
        yield pid


@contextmanager
def our_server(root: Path, port: int) -> Iterator[int]:
    """One web process of ours."""
    with running([sys.executable, "-m", "bench.portal_baked", str(root), str(port)], port) as pid:
        yield pid


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """A server, from the moment it answers until it has ended; its process number."""
    process = subprocess.Popen(command)
    try:
        wait_for_port(process, port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def serve(root: Path, port: int) -> None:
    """What `our_server` runs."""
    from zhengtong.faces.server.pages import BakedPages
    from zhengtong.faces.server.rsgi import Application
    from zhengtong.faces.server.web import run_web

    run_web(lambda: Application(BakedPages(root), no_site), "127.0.0.1", port, public=True)


def no_site(environ: object, start_response: object) -> list[bytes]:
    """No page but the baked ones may be asked for."""
    raise LookupError("not a baked page")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
