"""What has already happened when the demo city opens: notices issued, dispatched and published.

Every step is a person's command, as it would be in the office. All of it is fictional.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connections

from zhengtong.capabilities.documents.commands import outgoing
from zhengtong.capabilities.documents.domain.drafting import Draft
from zhengtong.capabilities.documents.models import Document
from zhengtong.capabilities.portal.commands.releasing import release
from zhengtong.capabilities.portal.models import Article, Column
from zhengtong.demo import attachments, plan
from zhengtong.kernel import files, moment
from zhengtong.kernel.directory.actors import Actor, person_actor
from zhengtong.kernel.directory.models import Person
from zhengtong.kernel.labels import Level
from zhengtong.kernel.worker import Worker


@dataclass(frozen=True, slots=True)
class Story:
    """One notice: its text, whom it is for, and the portal column it is published in, if any."""

    title: str
    body: str
    to: tuple[plan.Unit, ...]
    column: str = ""
    summary: str = ""
    level: Level = Level.PUBLIC
    urgency: int = 0
    with_files: bool = False


FROM_PROVINCE = (
    Story(
        "关于做好今冬明春安全防范工作的通知",
        "为做好今冬明春各项安全防范工作，现就有关事项通知如下：\n"
        "一、突出防范重点\n"
        "针对低温、雨雪、大雾天气，对道路交通、燃气、消防和人员密集场所开展检查。\n"
        "二、严格值班值守\n"
        "严格执行领导带班和二十四小时值班制度，遇有突发情况及时报告、妥善处置。\n"
        "三、做好物资准备\n"
        "按附件清单核对储备物资，不足的及时补充。",
        (plan.CITY,),
        urgency=1,
        with_files=True,
    ),
)

FROM_CITY = (
    Story(
        "关于开展冬季农田水利建设的通知",
        "为夯实粮食生产基础，决定今冬在全市开展农田水利建设。现将有关事项通知如下：\n"
        "一、建设重点\n"
        "（一）沟渠清淤。对淤塞的骨干沟渠先行疏浚，做到沟渠相通、旱能浇、涝能排。\n"
        "（二）机井维护。逐眼检查机井和配套电力设施，春灌前全部修复。\n"
        "（三）涵闸检修。对老化涵闸登记造册，分期更换。\n"
        "二、工作要求\n"
        "各县（市、区）要明确责任，按月报送进度，工程质量由水利部门抽查。",
        plan.COUNTIES,
        column="通知公告",
        summary="今冬在全市开展沟渠清淤、机井维护和涵闸检修，春灌前完成。",
    ),
    Story(
        "关于做好冬春季呼吸道传染病防控工作的通知",
        "为做好冬春季呼吸道传染病防控，保障群众健康，现就有关事项通知如下：\n"
        "一、加强监测\n"
        "医疗机构落实发热门诊和预检分诊制度，学校、托育机构落实晨午检。\n"
        "二、方便群众\n"
        "各接种门诊公布接种时间和联系方式，延长周末接种时段。\n"
        "三、普及知识\n"
        "倡导勤洗手、常通风、科学佩戴口罩，出现症状及时就医。",
        (*plan.COUNTIES, *plan.DEPARTMENTS),
        column="通知公告",
        summary="加强监测，延长周末接种时段，倡导良好卫生习惯。",
    ),
    Story(
        "关于进一步便利企业和群众办事的通知",
        "为进一步优化营商环境，方便企业和群众办事，现将有关措施通知如下：\n"
        "一、减少材料\n"
        "能够通过数据共享核验的材料，不再要求申请人提交。\n"
        "二、缩短时限\n"
        "承诺办理时限在法定时限基础上压缩，逐项公布。\n"
        "三、就近办理\n"
        "高频事项下沉到乡镇（街道）便民服务中心，预约服务延伸到周末。\n"
        "四、接受监督\n"
        "办事结果由群众评价，差评逐件回访整改。",
        (*plan.COUNTIES, *plan.DEPARTMENTS),
        column="政策文件",
        summary="减少材料、缩短时限、就近办理，办事结果由群众评价。",
    ),
    Story(
        "关于做好困难群众冬季生活保障工作的通知",
        "为确保困难群众温暖过冬，现就有关事项通知如下：\n"
        "一、全面走访\n"
        "民政部门组织乡镇（街道）对低保、特困供养和独居老人逐户走访。\n"
        "二、及时救助\n"
        "对取暖有困难的家庭，及时发放取暖物资或者临时救助金。\n"
        "三、规范公示\n"
        "救助结果按规定公示，公示内容不得包含身份证号、银行账号等个人信息。",
        plan.COUNTIES,
        column="政策文件",
        summary="民政部门逐户走访，及时发放取暖物资或者临时救助金。",
    ),
    Story(
        "关于防汛物资年度盘点和内部调拨的通知",
        "现将防汛物资年度盘点和调拨事项通知如下：\n"
        "一、各单位于本月底前完成盘点，账物不符的说明原因。\n"
        "二、富余物资由市水利局统一调拨。\n"
        "本通知为内部文件，不对外公布。",
        plan.COUNTIES,
        level=Level.INTERNAL,
        urgency=1,
        with_files=True,
    ),
)


def tell(node: plan.NodePlan) -> None:
    """Let this node's people do what they have done so far. Django is up, neighbours are known."""
    if plan.PROVINCE in node.units:
        _tell(plan.PROVINCE, FROM_PROVINCE)
    if plan.CITY in node.units:
        _tell(plan.CITY, FROM_CITY)
    connections.close_all()


def _tell(unit: plan.Unit, stories: Iterable[Story]) -> None:
    """The stories one after another; the worker does its part in between."""
    worker = Worker()
    worker.drain()
    for story in stories:
        document = _send(worker, unit, story)
        if story.column:
            outgoing.offer(_actor(f"{unit.key}-clerk"), document, story.summary)
            worker.drain()
            releaser = _actor(f"{unit.key}-release")
            article = Article.objects.visible_to(releaser).get(title__endswith=story.title)
            column = Column.objects.get(name=story.column, site__main=True)
            release(releaser, article, column, story.summary)
    worker.drain()
    worker.indexer.close()


def _actor(name: str) -> Actor:
    return person_actor(Person.objects.get(sign_in_name=name))


def _send(worker: Worker, unit: plan.Unit, story: Story) -> Document:
    """Drafted, reviewed, issued, laid out and dispatched."""
    clerk, leader = _actor(f"{unit.key}-clerk"), _actor(f"{unit.key}-leader")
    text = Draft(
        document_kind="通知",
        title=story.title,
        body=story.body,
        urgency=story.urgency,
        level=story.level,
        addressees=tuple(item.id for item in story.to),
        due_at=moment.now() + timedelta(days=10),
    )
    document = outgoing.draft(clerk, text, _uploads() if story.with_files else ())
    outgoing.submit(clerk, document)
    outgoing.review(leader, document, agree=True)
    document = outgoing.issue(leader, document, agree=True, opinion="同意签发。")
    worker.drain()
    return outgoing.dispatch(clerk, document)


def _uploads() -> list[outgoing.Upload]:
    made = {
        attachments.PLAN_NAME: attachments.plan_pdf(timestamp=moment.now()),
        attachments.STORES_NAME: attachments.stores_xlsx(),
    }
    return [(files.store(io.BytesIO(data), name), name) for name, data in made.items()]
