"""What several rows need: one line of the table, a process of one's own, free ports."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Row = dict[str, Any]
"""One line: name, ours, reference, ratio, unit, and further fields of its own."""


class CannotRun(Exception):
    """A row cannot be measured here; the text says why. That is no fault of the program."""


def row(
    name: str,
    ours: float | None,
    reference: float | None,
    ratio: float | None,
    unit: str,
    **more: Any,
) -> Row:
    """One line of the table; numbers are rounded to four significant digits."""
    figures = {"ours": ours, "reference": reference, "ratio": ratio}
    fields = {"name": name, **figures, "unit": unit, **more}
    return {key: rounded(value) for key, value in fields.items()}


def rounded(value: Any) -> Any:
    """A measured number to four significant digits; anything else as it is."""
    if not isinstance(value, float):
        return value
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() and abs(short) >= 100 else short


def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in a fresh interpreter: a process is one node of Django's for its whole life."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args, **kwargs).result()


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on right now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when a server that was just started accepts connections."""
    for _ in range(1500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not answer")


def child_processes(pid: int) -> list[int]:
    """The processes that a process has started, in the order of their start."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
