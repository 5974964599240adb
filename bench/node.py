"""`zhengtong` for the exchange row: it also knows the plain suite and the fact that is sent.

python -m bench.node --node FILE serve
"""

from __future__ import annotations

import sys

from bench import load  # noqa: F401 - registers the suite and the fact
from zhengtong.faces.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
