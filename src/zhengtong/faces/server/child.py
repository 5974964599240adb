"""One supervised process: how it begins, and how nothing of it is left behind.

Needs Linux, which makes two promises for us: no child outlives a killed supervisor
(PR_SET_PDEATHSIG), and a grandchild whose parent died becomes the supervisor's to end
(PR_SET_CHILD_SUBREAPER).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from zhengtong.faces.server.restarts import RestartPolicy

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep alive: a function to call in it, or a command line to become.

    A function that returns counts as ended, like a command with status 0; either is started
    again unless the supervisor is stopping.
    """

    name: str
    target: Callable[[], object] | Sequence[str]
    policy: RestartPolicy = field(default_factory=RestartPolicy)


def become(child: Child, parent: int, output: int) -> int:
    """In the forked process: shed the supervisor's state and do the child's work."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked to be told
        return 1
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    # Ctrl-C reaches the whole group; the supervisor answers it by asking each child to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        if not callable(child.target):
            os.execvp(child.target[0], list(child.target))
        child.target()
    except SystemExit as ending:
        if isinstance(ending.code, int) or ending.code is None:
            return ending.code or 0
        print(ending.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
    return 0


def kill_descendants() -> None:
    """End whatever is still below us, orphaned grandchildren included, and reap it."""
    while True:
        below = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
        if not below:
            return
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(int(pid), 0)


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent dies."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    """prctl(2), the one Linux call the standard library lacks; raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
