"""The supervisor with real processes: crashes, stops, and a violent death of its own."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.conftest import SOURCE, free_port, until

Program = Callable[[str], subprocess.Popen[bytes]]

PROLOGUE = """
import os, signal, subprocess, sys, time
from pathlib import Path
from zhengtong.faces.server.child import Child
from zhengtong.faces.server.restarts import RestartPolicy
from zhengtong.faces.server.supervisor import Supervisor

def note(name):
    with open(name, "a") as file:
        file.write(f"{os.getpid()}\\n")

def steady():
    note("steady")
    print("up and running")
    sys.stdout.flush()
    time.sleep(600)

quick = RestartPolicy(first_delay=0.05, longest_delay=0.2, hopeless_after=4)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """Runs a program that supervises; whatever it left behind is ended afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def run(text: str) -> subprocess.Popen[bytes]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", PROLOGUE + textwrap.dedent(text)],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
                stdout=(tmp_path / "output").open("wb"),
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )
        return started[-1]

    yield run
    for one in started:
        one.kill()
        one.wait()


def pids(path: Path) -> list[int]:
    """The process ids a child noted, oldest first."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_child_is_started_again_and_the_others_live_on(
    tmp_path: Path, program: Program
) -> None:
    supervisor = program("""
        def worker():
            note("worker")
            time.sleep(600)
        sys.exit(Supervisor([Child("web", steady), Child("worker", worker, quick)]).run())
    """)
    assert until(lambda: pids(tmp_path / "worker") and pids(tmp_path / "steady"))
    os.kill(pids(tmp_path / "worker")[0], signal.SIGKILL)
    assert until(lambda: len(pids(tmp_path / "worker")) == 2)
    os.kill(pids(tmp_path / "worker")[1], signal.SIGKILL)
    assert until(lambda: len(pids(tmp_path / "worker")) == 3)
    assert len(pids(tmp_path / "steady")) == 1
    output = (tmp_path / "output").read_text()
    assert "web    | up and running" in output
    assert "worker | killed by SIGKILL; starting again in 0.05 s" in output
    supervisor.terminate()
    assert supervisor.wait(5) == 0
    everyone = pids(tmp_path / "worker") + pids(tmp_path / "steady")
    assert not [pid for pid in everyone if alive(pid)]


def test_a_child_that_crashes_at_every_start_is_given_up(tmp_path: Path, program: Program) -> None:
    supervisor = program("""
        def broken():
            note("broken")
            raise ValueError("no database at this address")
        sys.exit(Supervisor([Child("web", steady), Child("worker", broken, quick)]).run())
    """)
    assert supervisor.wait(8) == 1
    output = (tmp_path / "output").read_text()
    assert len(pids(tmp_path / "broken")) == 4
    assert "worker | ValueError: no database at this address" in output
    assert "worker | ended with 1; it fails at every start, giving up" in output
    assert not [pid for pid in pids(tmp_path / "steady") if alive(pid)]


def test_no_child_survives_a_killed_supervisor(tmp_path: Path, program: Program) -> None:
    supervisor = program("""
        def deaf():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            note("deaf")
            time.sleep(600)
        command = [sys.executable, "-c", "import os, time; print(os.getpid(), "
                   "file=open('command', 'w'), flush=True); time.sleep(600)"]
        sys.exit(Supervisor(
            [Child("a", steady), Child("b", deaf), Child("c", command)]
        ).run())
    """)
    names = ("steady", "deaf", "command")
    assert until(lambda: all(pids(tmp_path / name) for name in names))
    supervisor.kill()
    everyone = [pid for name in names for pid in pids(tmp_path / name)]
    assert until(lambda: not [pid for pid in everyone if alive(pid)])


def test_a_deaf_child_and_an_orphaned_grandchild_are_ended(
    tmp_path: Path, program: Program
) -> None:
    supervisor = program("""
        def deaf():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            note("deaf")
            while True:
                time.sleep(600)
        def parent():
            subprocess.Popen([sys.executable, "-c", "import os, time; print(os.getpid(), "
                "file=open('grandchild', 'w'), flush=True); time.sleep(600)"])
            steady()
        children = [Child("deaf", deaf), Child("parent", parent)]
        sys.exit(Supervisor(children, stop_within=0.5).run())
    """)
    names = ("deaf", "steady", "grandchild")
    assert until(lambda: all(pids(tmp_path / name) for name in names))
    supervisor.terminate()
    assert supervisor.wait(5) == 0
    assert not [pid for name in names for pid in pids(tmp_path / name) if alive(pid)]
    assert "deaf   | did not stop in time and was killed" in (tmp_path / "output").read_text()


def test_children_share_the_group_and_a_stop_lets_them_finish(
    tmp_path: Path, program: Program
) -> None:
    supervisor = program("""
        def careful():
            def stop(*_):
                time.sleep(0.3)
                print("put everything away")
                sys.exit(0)
            signal.signal(signal.SIGTERM, stop)
            note("careful")
            time.sleep(600)
        sys.exit(Supervisor([Child("careful", careful), Child("steady", steady)]).run())
    """)
    assert until(lambda: pids(tmp_path / "careful") and pids(tmp_path / "steady"))
    assert os.getpgid(pids(tmp_path / "careful")[0]) == os.getpgid(supervisor.pid)
    os.killpg(supervisor.pid, signal.SIGINT)  # what Ctrl-C does
    assert supervisor.wait(5) == 0
    assert "careful | put everything away" in (tmp_path / "output").read_text()


def test_log_lines_stay_whole_however_they_are_written(tmp_path: Path, program: Program) -> None:
    supervisor = program("""
        def talk(word):
            for n in range(300):
                os.write(1, f"{word}{n} 第".encode())
                os.write(2, f"行 end\\n".encode())
            os.write(1, b"z" * 200_000 + b"\\nlast words")
            time.sleep(0.2)
            note(word)
            time.sleep(600)
        one, two = (lambda word=word: talk(word) for word in "pq")
        sys.exit(Supervisor([Child("one", one), Child("two", two)]).run())
    """)
    assert until(lambda: pids(tmp_path / "p") and pids(tmp_path / "q"))
    supervisor.terminate()
    assert supervisor.wait(5) == 0
    lines = (tmp_path / "output").read_text().splitlines()
    for name, word in (("one", "p"), ("two", "q")):
        own = [line.removeprefix(f"{name} | ") for line in lines if line.startswith(name)]
        assert own[:300] == [f"{word}{n} 第行 end" for n in range(300)]
        assert sum(line.count("z") for line in own) == 200_000 and own[-1] == "last words"
    assert len(lines) == sum(line.startswith(("one | ", "two | ")) for line in lines)


def test_a_node_of_two_web_processes_survives_a_crash_of_one(
    tmp_path: Path, program: Program
) -> None:
    port = free_port()
    supervisor = program(f"""
        from zhengtong.faces.server.web import web_children
        def site(environ, start):
            start("200 OK", [])
            return [str(os.getpid()).encode()]
        def build():
            from zhengtong.faces.server.rsgi import Application
            return Application(None, site)
        children = web_children(build, "127.0.0.1", {port}, web_processes=2)
        sys.exit(Supervisor(children).run())
    """)

    def pid() -> int | None:
        import http.client

        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            return int(connection.getresponse().read())
        except OSError:
            return None

    seen: set[int | None] = set()

    def both() -> bool:
        seen.add(pid())
        return len(seen - {None}) == 2

    assert until(both)
    os.kill(max(one for one in seen if one), signal.SIGKILL)
    assert until(lambda: pid() is not None)
    seen.clear()
    assert until(both)
    os.killpg(supervisor.pid, signal.SIGINT)
    assert supervisor.wait(5) == 0
