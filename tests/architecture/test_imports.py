"""The house's import rules hold, and the judge that says so is itself put to the test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]

# A small city in the shape of the real one: module → what it imports.
HEALTHY = {
    "__main__": "from zhengtong import faces",
    "settings": "from zhengtong.kernel import node",
    "faces.urls": "from zhengtong.kernel import capability",
    "faces.server": "import asyncio",
    "demo.city": "from zhengtong.capabilities.alpha import commands",
    "ui.forms": "import django.forms",
    "kernel.capability": "from zhengtong.wire import envelope",
    "kernel.node": "import tomllib",
    "kernel.clock.calendar": "import datetime",
    "kernel.clock.rules": "from zhengtong.kernel.clock import calendar",
    "kernel.flow.engine": "import datetime",
    "kernel.search.index": "import tantivy",
    "wire.envelope": "import cbor2",
    "capabilities.alpha.capability": "from zhengtong.capabilities.alpha import web",
    "capabilities.alpha.web": "from zhengtong.capabilities.alpha import commands, queries, forms",
    "capabilities.alpha.api": "from zhengtong.capabilities.alpha import commands",
    "capabilities.alpha.forms": "from zhengtong.ui import forms",
    "capabilities.alpha.reactions": "from zhengtong.capabilities.beta.messages import Sent",
    "capabilities.alpha.commands": "from zhengtong.capabilities.alpha import models, domain",
    "capabilities.alpha.queries": "from zhengtong.capabilities.alpha import models",
    "capabilities.alpha.models": "from zhengtong.kernel import node\nimport django.db",
    "capabilities.alpha.messages": "from zhengtong.kernel import capability",
    "capabilities.alpha.domain": "import datetime",
    "capabilities.beta.commands": "from zhengtong.capabilities.beta import models",
    "capabilities.beta.models": "import django.db",
    "capabilities.beta.messages": "class Sent: ...",
}

# The contract that must break ← the module that is given one import too many.
PLANTED = [
    ("layers", "kernel.node", "from zhengtong.capabilities.alpha import messages"),
    ("layers", "ui.forms", "def late():\n    from zhengtong.faces import urls"),
    ("layers", "wire.envelope", "from zhengtong.kernel import node"),
    ("layers", "capabilities.alpha.models", "import zhengtong.settings"),
    ("layers", "stray", "x = 1"),
    (
        "capabilities",
        "capabilities.alpha.commands",
        "from zhengtong.capabilities.beta import models",
    ),
    ("capabilities", "capabilities.alpha.domain", "import zhengtong.capabilities.beta.commands"),
    ("anatomy", "capabilities.alpha.models", "from zhengtong.capabilities.alpha import commands"),
    (
        "anatomy",
        "capabilities.alpha.commands",
        "from zhengtong.capabilities.alpha import reactions",
    ),
    ("anatomy", "capabilities.alpha.messages", "from zhengtong.capabilities.alpha import models"),
    ("anatomy", "capabilities.alpha.utils", "x = 1"),
    ("web", "capabilities.alpha.web", "from zhengtong.capabilities.alpha.models import Letter"),
    ("web", "capabilities.alpha.api", "from zhengtong.capabilities.alpha import models"),
    ("domain", "capabilities.alpha.domain", "from django.db import models"),
    ("domain", "capabilities.alpha.domain", "from zhengtong.kernel import node"),
    ("wire", "wire.envelope", "import django.conf"),
    ("pure", "kernel.clock.calendar", "from django.utils import timezone"),
    ("pure", "faces.server", "import django"),
    ("faces", "faces.urls", "from zhengtong.capabilities.alpha import web"),
]


def lint(tree: Path, *contracts: str) -> tuple[bool, str]:
    """Judge the package under `tree`/src by the real contracts; return (kept, what was said)."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    command += ["--config", str(ROOT / "pyproject.toml")]
    for contract in contracts:
        command += ["--contract", contract]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "COLUMNS": "200"}
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode == 0, done.stdout + done.stderr


def build(tree: Path, modules: dict[str, str]) -> Path:
    """Write a package `zhengtong` with the given modules; return `tree`."""
    for name, text in modules.items():
        path = tree.joinpath("src", "zhengtong", *name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
        for package in path.parents:
            (package / "__init__.py").touch()
            if package.name == "zhengtong":
                break
    return tree


def test_the_house_keeps_its_own_rules() -> None:
    kept, said = lint(ROOT)
    assert kept, said


def test_a_healthy_city_is_accepted(tmp_path: Path) -> None:
    kept, said = lint(build(tmp_path, HEALTHY))
    assert kept, said


@pytest.mark.parametrize(("contract", "module", "line"), PLANTED)
def test_a_planted_violation_is_caught(
    tmp_path: Path, contract: str, module: str, line: str
) -> None:
    modules = {**HEALTHY, module: f"{HEALTHY.get(module, '')}\n{line}"}
    kept, said = lint(build(tmp_path, modules), contract)
    assert not kept, said
    assert "1 broken" in said or "not exhaustive" in said.lower(), said
    assert module.rpartition(".")[2] in said, said


# Reached by name when a node has such a key, so the protocol works without these packages.
OPTIONAL = {"zhengtong.wire.sm2_gmssl": "gmssl_pyx", "zhengtong.wire.token_suite": "pkcs11"}


def test_wire_needs_only_cbor_and_cryptography() -> None:
    graph = grimp.build_graph("zhengtong", include_external_packages=True, cache_dir=None)
    always = {"zhengtong.wire"} | graph.find_descendants("zhengtong.wire") - OPTIONAL.keys()
    imported = {
        module: graph.find_modules_directly_imported_by(module) for module in always | {*OPTIONAL}
    }
    beside = set(sys.stdlib_module_names) | {"zhengtong", "cbor2", "cryptography"}
    for module, found in imported.items():
        outside = {name.split(".")[0] for name in found} - beside
        assert outside == ({OPTIONAL[module]} if module in OPTIONAL else set()), module
        assert not found & OPTIONAL.keys(), module
