"""The public face: what is neither baked nor answered by a capability is not there."""

from __future__ import annotations

from django.urls import re_path

from zhengtong.faces.public.missing import missing

urlpatterns = [re_path("", missing)]
