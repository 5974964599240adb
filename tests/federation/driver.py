"""Acts of officers on one node, asked for from outside as lines of JSON.

    python -m tests.federation.driver NODE_TOML

A line {"act": name, …arguments} is answered by {"result": …} or {"error": "Type: text"}. An answer
is an acknowledgement: what it says was done has been committed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    os.environ["ZHENGTONG_NODE"] = sys.argv[1]
    os.environ["DJANGO_SETTINGS_MODULE"] = "zhengtong.settings"
    import django

    django.setup()
    from tests.federation import acts

    print(json.dumps({"result": "ready"}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"result": getattr(acts, request.pop("act"))(**request)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, ensure_ascii=False, default=str), flush=True)


if __name__ == "__main__":
    main()
