"""How values read in Chinese: dates, times, sizes. Pure functions."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")
"""The one legal time of the country: pages show it whatever zone the process runs in."""


class NaiveTime(ValueError):
    """A moment without a zone cannot be shown: nobody knows which moment it is."""

    def __init__(self, value: datetime) -> None:
        super().__init__(f"{value.isoformat()} has no time zone; pass an aware datetime")


def chinese_date(value: date | datetime | None) -> str:
    """2026年11月23日. A moment is read in China's time; nothing gives an empty string."""
    if value is None:
        return ""
    day = _in_china(value) if isinstance(value, datetime) else value
    return f"{day.year}年{day.month}月{day.day}日"


def chinese_time(value: datetime | None) -> str:
    """2026年11月23日 09:05, in China's time; nothing gives an empty string."""
    if value is None:
        return ""
    moment = _in_china(value)
    return f"{chinese_date(moment)} {moment:%H:%M}"


def machine_time(value: date | datetime) -> str:
    """The ``datetime`` attribute of a <time> element: ISO 8601 to the minute, or the date."""
    if isinstance(value, datetime):
        return _in_china(value).isoformat(timespec="minutes")
    return value.isoformat()


def file_size(octets: int) -> str:
    """Octets in the largest unit (of 1,024) that leaves a number of at least one: 37.8 KB."""
    if octets < 0:
        raise ValueError(f"a file cannot have {octets} octets")
    if octets < 1024:
        return f"{octets} 字节"
    size, units = octets / 1024, ["KB", "MB", "GB", "TB"]
    # 1023.95 KB would be printed as "1024.0 KB": it is already a megabyte.
    while size >= 1023.95 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.1f}".removesuffix(".0") + f" {units[0]}"


def _in_china(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise NaiveTime(value)
    return value.astimezone(CHINA)
