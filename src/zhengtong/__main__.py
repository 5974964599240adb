"""`zhengtong` and `python -m zhengtong`."""

from __future__ import annotations

import sys

from zhengtong.faces.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
