"""The office face as a Django application, so that its templates are found."""

from __future__ import annotations

from django.apps import AppConfig


class OfficeFaceConfig(AppConfig):
    name = "zhengtong.faces.office"
    label = "office_face"
    verbose_name = "办公界面"

    def ready(self) -> None:
        # The kernel's commands, so that the audit pages know every verb by its title.
        from zhengtong.kernel.directory import commands as directory  # noqa: F401
        from zhengtong.kernel.messages import commands, link_commands, membership  # noqa: F401
        from zhengtong.kernel.messages.roads import commands as roads  # noqa: F401
