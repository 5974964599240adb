"""Until when a neighbour's certificate is good, as the node page and the metrics show it."""

from __future__ import annotations

from datetime import datetime

from zhengtong.kernel.messages.identity import own_credentials
from zhengtong.kernel.messages.models import Neighbour

_kept: dict[str, datetime] = {}
"""What this process has written down already."""


def keep(name: str) -> None:
    """Write down what the neighbour's certificate said when it last connected over TLS.

    Called after every turn; it writes only when the certificate is another than before.
    """
    until = own_credentials().shown.get(name)
    if until and _kept.get(name) != until:
        Neighbour.objects.filter(name=name).update(certificate_until=until)
        _kept[name] = until
