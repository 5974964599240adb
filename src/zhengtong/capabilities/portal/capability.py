"""政府网站: columns and articles, released with care, baked to pages, withdrawn for good."""

from __future__ import annotations

from zhengtong.kernel.capability import Capability

CAPABILITY = Capability(name="portal", title="政府网站")
