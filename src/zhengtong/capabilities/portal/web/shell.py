"""What every public page has around it: the site's name, its columns, its foot."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from zhengtong.capabilities.portal import queries
from zhengtong.ui.pieces import NavItem
from zhengtong.ui.pieces import Site as Masthead


def shell(structure: queries.Structure, site: Any, here: str) -> dict[str, Any]:
    """The context of `portal/public/base.html` for a page at `here` on a site."""
    columns = [NavItem("首页", site.path, active=here == site.path)]
    columns += [
        NavItem(column.name, column.path, active=here == column.path)
        for column in structure.columns(site)
    ]
    main = structure.main
    foot = [(main.name, main.path)] if main and not site.main else []
    foot += [("网站地图", "/map/"), ("全站搜索", "/search")]
    return {
        "site": Masthead(
            name=site.name,
            url=site.path,
            organisation=site.organisation,
            demo=settings.NODE.demo,
            domain=site.domain,
            id_code=site.id_code,
            contact=site.contact,
            footer=tuple(foot),
        ),
        "portal_site": site,
        "columns": columns,
        "search_url": "/search",
        "query": "",
    }
