"""The commercial suite over each SM2 library that this machine's lock brings along."""

from __future__ import annotations

import platform
import sys

from zhengtong.wire.gm import ENGINES, GmSuite, choose_engine

# As in requirements/base.in: GmSSL's wheels serve one kind of machine.
BOTH = (sys.platform, platform.machine()) == ("linux", "x86_64")
SUITES = [GmSuite(choose_engine([module])) for module in (ENGINES if BOTH else ENGINES[:1])]
