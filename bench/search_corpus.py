"""What `search-100k` searches: Chinese documents and the words people look for in them.

The documents are sentences of statutes in Markdown, remixed by a seed, from the folder that
`ZHENGTONG_BENCH_LAWS` names. Without one, sentences are composed from the word lists below.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import rjieba

SEED = 20260101
QUERIES = 300

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


def sentences() -> list[str]:
    """What documents are made of, in a fixed order."""
    laws = os.environ.get("ZHENGTONG_BENCH_LAWS")
    return _of_statutes(Path(laws)) if laws else _composed()


def _composed() -> list[str]:
    chance = random.Random(SEED)
    who, does, what, how = (part.split() for part in (WHO, DOES, WHAT, HOW))
    return [
        f"{chance.choice(how)}，{chance.choice(who)}{chance.choice(does)}{chance.choice(what)}，"
        f"{chance.choice(who)}{chance.choice(does)}{chance.choice(what)}。"
        for _ in range(20_000)
    ]


def _of_statutes(folder: Path) -> list[str]:
    found = []
    for file in sorted(folder.glob("*.md")):
        for line in file.read_text(encoding="utf-8").splitlines():
            found += re.split(r"(?<=[。；])", line.strip("#　 "))
    return [sentence for sentence in found if 8 <= len(sentence) <= 120]


def documents(number: int, sentences: list[str]) -> Iterator[tuple[str, str]]:
    """Titles and bodies, about 400 characters each; the same for the same sentences."""
    chance = random.Random(SEED)
    for _ in range(number):
        length, body = chance.randint(120, 620), ""
        while len(body) < length:
            body += chance.choice(sentences)
        title = re.sub(r"^第.{1,8}条\s*", "", chance.choice(sentences))[:30]
        yield title, body


def queries(sentences: list[str]) -> list[str]:
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
