"""政府网站: columns and articles, released with care, baked to pages, withdrawn for good."""

from __future__ import annotations

from zhengtong.kernel.capability import Capability, Navigation, Searchable


def _page(pk: str) -> str:
    from zhengtong.capabilities.portal.queries import page_in_search

    return page_in_search(pk)


CAPABILITY = Capability(
    name="portal",
    title="政府网站",
    modules=(
        "zhengtong.capabilities.portal.commands.seed",
        "zhengtong.capabilities.portal.commands.offering",
        "zhengtong.capabilities.portal.commands.releasing",
        "zhengtong.capabilities.portal.commands.online",
        "zhengtong.capabilities.portal.reactions",
    ),
    urls=(
        ("office", "portal/", "zhengtong.capabilities.portal.web.office"),
        ("public", "", "zhengtong.capabilities.portal.web.public"),
    ),
    navigation=(
        Navigation(
            "网站发布",
            "/portal/",
            ("portal.release", "portal.confirm_release", "portal.withdraw"),
            60,
        ),
    ),
    node_duties=(
        "portal.seed",
        "portal.take_offer",
        "portal.note_online",
        "portal.note_removed",
        "portal.send_files_again",
        "portal.put_online",
        "portal.take_offline",
        "portal.ask_files",
        "portal.report_online",
        "portal.report_removed",
    ),
    searchables=(
        Searchable(
            kind="article",
            title="网站文章",
            model="portal.Article",
            entry="zhengtong.capabilities.portal.queries.search_entry",
            page=_page,
            on_extracted="zhengtong.capabilities.portal.queries.reindex_holders",
        ),
    ),
    jobs=("zhengtong.capabilities.portal.web.bake.work",),
    checks=("zhengtong.capabilities.portal.web.bake.examine",),
)
