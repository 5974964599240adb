"""The few pages the server shows by itself: plain, self-contained, and saying what to do next."""

from __future__ import annotations

from zhengtong.faces.server.pages import PAGE_POLICY, Answer

_PAGE = (
    '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1">'
    "<title>{title}</title></head><body><main><h1>{title}</h1><p>{advice}</p></main></body></html>"
)


def _refusal(status: int, title: str, advice: str, **extra: str) -> Answer:
    headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-security-policy", PAGE_POLICY),
        ("x-content-type-options", "nosniff"),
        ("server", "zhengtong"),
        *((name.replace("_", "-"), value) for name, value in extra.items()),
    ]
    return Answer(status, headers, _PAGE.format(title=title, advice=advice).encode())


def too_large(limit: int) -> Answer:
    """413: the request body exceeds `limit` bytes."""
    size = f"{limit // 1024 // 1024} MB" if limit >= 1024 * 1024 else f"{limit} 字节"
    return _refusal(
        413,
        "上传的内容太大",
        f"一次最多上传 {size}。请压缩或拆分文件后重试，原有内容没有改动。",
    )


LENGTH_UNKNOWN = _refusal(411, "缺少内容长度", "请求须带 Content-Length，分块传输不被接受。")
TOO_SLOW = _refusal(408, "上传中断", "长时间没有收到数据，本次提交未被接收。请检查网络后重新提交。")
BROKEN = _refusal(500, "系统出错", "本次操作没有完成，错误已记入日志。请稍后再试或联系管理员。")
BUSY = _refusal(503, "系统繁忙", "当前访问人数较多，请稍后再试。", retry_after="3")
NO_ROOM = _refusal(
    503,
    "磁盘空间不足",
    "上传的内容没有保存。请联系管理员清理空间，再返回上一页重新提交。",
    retry_after="60",
)
STREAMS_FULL = _refusal(503, "实时连接已满", "请稍后再试。", retry_after="15")
GET_ONLY = _refusal(405, "不支持的请求方式", "此地址只能读取。", allow="GET")
