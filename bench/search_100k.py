"""search-100k: the house's search against SQLite FTS5 bigrams over 100,000 Chinese documents.

Both answer the same queries, drawn from the documents' running text: half of them words of two
characters, half longer. FTS5 returns the ten best ids. Ours does all that a reader gets: the
label inside the query, the ten best with titles and marked snippets, the total and two facets.

    python -m bench.search_100k [--documents 5000] [--laws FOLDER]

The documents are sentences of the statutes in FOLDER (Markdown), remixed by a seed, or without
a folder sentences composed from the word lists below. Indexes are kept under build/bench/ and
used again as long as neither the indexing code nor the sentences change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import rjieba

from zhengtong.kernel.search import Entry, Index, IndexWriter, Reader, entry, store, words, writer

SEED = 20260101
QUERIES = 300
RECALL_QUERIES = 40
RECALL_PAGES = 25
KEPT = Path(__file__).parent.parent / "build" / "bench"
FIRST = datetime(2016, 1, 1, tzinfo=UTC)
APART = timedelta(minutes=30)
CITIZEN = Reader(ceiling=0)

# What sentences are composed of where no statutes are at hand.
WHO = """
市人民政府 县人民政府 民政局 教育局 财政局 公安机关 应急管理局 卫生健康委员会
农业农村局 生态环境局 水利局 市场监督管理局 自然资源和规划局 人力资源和社会保障局
医疗保障局 交通运输局 住房和城乡建设局 乡镇人民政府 街道办事处 村民委员会 行政审批机关
用人单位 建设单位 申请人 法定代表人 主管部门 监察机关 消防救援机构
"""
DOES = """
应当公布 负责组织实施 可以委托 不得擅自变更 依法审查 统一受理 及时报告 按照规定核发
会同有关部门制定 监督检查 建立健全 定期评估 免费提供 限期整改 依照职权撤销 优先保障
逐级上报 登记备案 公开征求 严格落实 协调推进
"""
WHAT = """
防汛抗旱应急预案 城乡居民基本医疗保险 最低生活保障 农机购置补贴 建设工程规划许可
食品安全监督抽检 养老服务设施 义务教育阶段招生 残疾人两项补贴 突发公共卫生事件
行政处罚决定 政府信息公开申请 土地征收补偿标准 住房公积金提取 不动产登记资料
安全生产责任制 大气污染防治 高标准农田建设 退役军人优待 企业职工养老保险 公共资源交易
饮用水水源 道路交通事故 流动人口居住证 小微企业税收优惠 乡村振兴项目 传染病疫情
档案移交 印章管理 会议纪要
"""
HOW = """
自受理之日起二十个工作日内 在职责范围内 经本级人民代表大会常务委员会批准 通过政务服务平台
情节严重的 符合条件的 因不可抗力 根据实际需要 在汛期来临之前 逾期不改正的
涉及国家秘密的 每年第一季度 向社会公众 以书面形式 依照前款规定
"""


def rows(
    documents: int = 100_000, laws: Path | None = None, kept: Path = KEPT
) -> list[dict[str, Any]]:
    """One row; `ours` and `reference` are the 99th percentiles in ms, `ratio` theirs over ours."""
    sentences = _sentences(laws or _laws_of_environment())
    folder, built = _prepare(kept, documents, sentences)
    queries = _queries(sentences)
    index = Index(folder / "index")
    ours = _times(queries, lambda query: index.search(query, CITIZEN))
    with sqlite3.connect(folder / "fts5.sqlite3") as database:
        database.execute("PRAGMA mmap_size = 1073741824")
        reference = _times(queries, lambda query: _fts5(database, query))
    return [
        {
            "name": "search-100k",
            "ours": _percentile(ours, 99),
            "reference": _percentile(reference, 99),
            "ratio": round(_percentile(reference, 99) / _percentile(ours, 99), 2),
            "unit": "ms p99",
            "p50_ms": _percentile(ours, 50),
            "p99_ms": _percentile(ours, 99),
            "reference_p50_ms": _percentile(reference, 50),
            "reference_p99_ms": _percentile(reference, 99),
            "recall": _recall(index, queries, documents, sentences),
            "documents": documents,
            "queries": len(queries),
            **built,
        }
    ]


def _laws_of_environment() -> Path | None:
    given = os.environ.get("ZHENGTONG_BENCH_LAWS")
    return Path(given) if given and Path(given).is_dir() else None


def _sentences(laws: Path | None) -> list[str]:
    """What documents are made of, in a fixed order."""
    if laws is None:
        chance = random.Random(SEED)
        who, does, what, how = (part.split() for part in (WHO, DOES, WHAT, HOW))
        return [
            f"{chance.choice(how)}，{chance.choice(who)}{chance.choice(does)}{chance.choice(what)}，"
            f"{chance.choice(who)}{chance.choice(does)}{chance.choice(what)}。"
            for _ in range(20_000)
        ]
    found = []
    for file in sorted(laws.glob("*.md")):
        for line in file.read_text(encoding="utf-8").splitlines():
            found += re.split(r"(?<=[。；])", line.strip("#　 "))
    return [sentence for sentence in found if 8 <= len(sentence) <= 120]


def _documents(number: int, sentences: list[str]) -> Iterator[tuple[str, str]]:
    """Titles and bodies, about 400 characters each; the same for the same sentences."""
    chance = random.Random(SEED)
    for _ in range(number):
        length, body = chance.randint(120, 620), ""
        while len(body) < length:
            body += chance.choice(sentences)
        title = re.sub(r"^第.{1,8}条\s*", "", chance.choice(sentences))[:30]
        yield title, body


def _prepare(kept: Path, documents: int, sentences: list[str]) -> tuple[Path, dict[str, float]]:
    """The folder with both indexes, built unless it is there, and what the building took."""
    seal = hashlib.sha256("\n".join(sentences).encode())
    for module in (words, entry, store, writer):
        seal.update(Path(str(module.__file__)).read_bytes())
    folder = kept / f"search-{documents}"
    ready = folder / "ready.json"
    if ready.exists():
        known = json.loads(ready.read_text())
        if known.pop("seal") == seal.hexdigest():
            return folder, known
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    start = time.perf_counter()
    with IndexWriter(folder / "index") as index:
        index.rebuild(
            Entry(
                urn=f"urn:{number}",
                kind=("article", "document", "law")[number % 3],
                title=title,
                body=body,
                organisation=f"office-{number % 20}",
                date=FIRST + APART * number,
                level=0,
                open=True,
            )
            for number, (title, body) in enumerate(_documents(documents, sentences))
        )
    ours = time.perf_counter() - start
    start = time.perf_counter()
    _build_fts5(folder / "fts5.sqlite3", documents, sentences)
    built = {
        "index_s": round(ours, 1),
        "index_mb": _megabytes(folder / "index"),
        "reference_index_s": round(time.perf_counter() - start, 1),
        "reference_index_mb": _megabytes(folder / "fts5.sqlite3"),
    }
    ready.write_text(json.dumps(built | {"seal": seal.hexdigest()}))
    return folder, built


def _build_fts5(file: Path, documents: int, sentences: list[str]) -> None:
    """Contentless FTS5 over bigrams in their order, title and body as columns, one segment."""
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("CREATE VIRTUAL TABLE page USING fts5(title, body, content='')")
        database.executemany(
            "INSERT INTO page(rowid, title, body) VALUES (?, ?, ?)",
            (
                (number, " ".join(_pairs(title)), " ".join(_pairs(body)))
                for number, (title, body) in enumerate(_documents(documents, sentences))
            ),
        )
        database.execute("INSERT INTO page(page) VALUES ('optimize')")


def _pairs(text: str) -> list[str]:
    runs = re.findall(r"[^\W_]+", words.normalise(text))
    return [run[at : at + 2] for run in runs for at in range(len(run) - 1)]


def _fts5(database: sqlite3.Connection, query: str) -> list[tuple[int]]:
    phrase = '"' + " ".join(_pairs(query)) + '"'
    best = "SELECT rowid FROM page WHERE page MATCH ? ORDER BY bm25(page, 4.0, 1.0) LIMIT 10"
    return database.execute(best, (phrase,)).fetchall()


def _queries(sentences: list[str]) -> list[str]:
    """Words as they stand in the text, so frequent words are asked for as often as they occur.

    Half have two characters; the others are longer words, or two neighbours as one.
    """
    chance = random.Random(SEED)
    short: dict[str, None] = {}
    long: dict[str, None] = {}
    for sentence in chance.choices(sentences, k=20 * QUERIES):
        pieces = [p for p in rjieba.cut(sentence) if re.fullmatch(r"[一-龥]{2,6}", p)]
        if len(pieces) < 2:
            continue
        at = chance.randrange(len(pieces) - 1)
        word, pair = pieces[at], pieces[at] + pieces[at + 1]
        if len(word) == 2:
            short[word] = None
            long |= {pair: None} if pair in sentence else {}
        else:
            long[word] = None
    return list(short)[: QUERIES // 2] + list(long)[: QUERIES - QUERIES // 2]


def _times(queries: list[str], answer: Callable[[str], object]) -> list[float]:
    """Milliseconds per query: the best of three, which leaves out what neighbours disturb."""
    times = []
    for query in queries:
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            answer(query)
            runs.append((time.perf_counter() - start) * 1000)
        times.append(min(runs))
    return sorted(times)


def _percentile(times: list[float], percent: int) -> float:
    return round(times[min(len(times) - 1, len(times) * percent // 100)], 3)


def _recall(index: Index, queries: list[str], documents: int, sentences: list[str]) -> float:
    """The share of documents containing a two-character query that the search returns.

    For some queries, documents that contain the characters are drawn at random, and each is
    sought by the query within its own half hour. A total other than the true one counts as 0.
    """
    chance = random.Random(SEED)
    asked = [query for query in queries if len(query) == 2][:RECALL_QUERIES]
    containing: dict[str, list[int]] = {query: [] for query in asked}
    for number, (title, body) in enumerate(_documents(documents, sentences)):
        for query in asked:
            if query in body or query in title:
                containing[query].append(number)
    sought = found = 0
    for query, numbers in containing.items():
        total_is_true = index.search(query, CITIZEN).total == len(numbers)
        for number in chance.sample(numbers, min(RECALL_PAGES, len(numbers))):
            since = FIRST + APART * number
            hits = index.search(query, CITIZEN, since=since, until=since + APART).hits
            sought += 1
            found += total_is_true and [hit.urn for hit in hits] == [f"urn:{number}"]
    return found / sought if sought else 0.0


def _megabytes(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--laws", type=Path, default=None, help="folder of statutes in Markdown")
    given = parser.parse_args()
    for row in rows(given.documents, given.laws):
        print(json.dumps(row, ensure_ascii=False, indent=1))
