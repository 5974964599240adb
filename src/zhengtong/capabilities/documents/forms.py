"""What officers fill in about documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, time
from typing import Any
from uuid import UUID

from django import forms

from zhengtong.capabilities.documents import queries
from zhengtong.capabilities.documents.domain.drafting import Draft, problems
from zhengtong.kernel import moment
from zhengtong.kernel.directory.actors import Actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.errors import HouseError, Invalid
from zhengtong.kernel.labels import LEVEL_WORDS

ALL = "all:"
END_OF_DAY = time(18, 0)
DATE_FORMATS = ["%Y-%m-%d", "%Y年%m月%d日", "%Y/%m/%d"]

Units = Sequence[tuple[str, str, list[Organisation]]]


class UnitBoxes(forms.CheckboxSelectMultiple):
    """Organisations as boxes in groups, each group with a box for all of it."""

    template_name = "documents/widgets/units.html"

    def id_for_label(self, id_: str, index: str | None = None) -> str:
        """The first box is `…_0`, grouped or not: the error summary leads there."""
        return super().id_for_label(id_, "0" if index == "0_0" else index)


class UrgencyRadios(forms.RadioSelect):
    """Three choices on one line."""

    template_name = "documents/widgets/radios.html"


class UnitsField(forms.TypedMultipleChoiceField):
    """Chosen organisations; the box of a whole group stands for each of its members."""

    widget = UnitBoxes

    def offer(self, units: Units) -> None:
        """Set the organisations to choose from."""
        self.groups = {f"{ALL}{key}": [item.pk for item in group] for key, _, group in units}
        self.choices = [
            (
                title,
                [
                    (f"{ALL}{key}", f"全部{title}（{len(group)} 个）"),
                    *((str(item.pk), item.short_name) for item in group),
                ],
            )
            for key, title, group in units
        ]

    def clean(self, value: Any) -> tuple[UUID, ...]:
        chosen = set(super().clean(value))
        wanted = {pk for key in chosen & set(self.groups) for pk in self.groups[key]}
        wanted |= {UUID(item) for item in chosen - set(self.groups)}
        return tuple(pk for group in self.groups.values() for pk in group if pk in wanted)


class DraftForm(forms.Form):
    """A draft as its drafter fills it in; every fault is told at once, each at its field."""

    use_required_attribute = False

    document_kind = forms.ChoiceField(label="文种")
    title = forms.CharField(
        label="标题", required=False, help_text="事由加文种，如“关于做好防汛准备工作的通知”。"
    )
    body = forms.CharField(
        label="正文",
        required=False,
        widget=forms.Textarea(attrs={"class": "tall"}),
        help_text="每段一行；“一、”“（一）”“1.”“（1）”开头的段落自动排为各级标题。",
    )
    urgency = forms.TypedChoiceField(label="紧急程度", coerce=int, widget=UrgencyRadios, initial=0)
    level = forms.TypedChoiceField(label="密级", coerce=int, initial=1)
    addressees = UnitsField(label="主送", required=False)
    copy_to = UnitsField(label="抄送", required=False)
    countersigners = UnitsField(
        label="会签单位", required=False, help_text="所选单位全部会签同意后才能签发。"
    )
    note = forms.CharField(
        label="附注", required=False, help_text="如“此件公开发布”或联系人、电话。"
    )
    due_date = forms.DateField(
        label="办理时限",
        required=False,
        input_formats=DATE_FORMATS,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": "请按 2026-12-01 的格式填写日期。"},
    )
    due_time = forms.TimeField(
        label="时限钟点",
        required=False,
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        error_messages={"invalid": "请按 18:00 的格式填写时间。"},
    )
    # Taken by `web.uploads`, because what has arrived must survive a faulty form.
    attachments = forms.FileField(label="附件", required=False)
    answers = forms.UUIDField(required=False, widget=forms.HiddenInput)

    # Fields whose emptiness the drafting rules judge, not the form: shown without （选填）.
    NEEDED = ("title", "body", "addressees")

    def __init__(
        self, *args: Any, actor: Actor, asked: tuple[UUID, ...] | None = None, **kwargs: Any
    ) -> None:
        """`asked`: the countersigners of a draft already on its way; they are then settled."""
        super().__init__(*args, **kwargs)
        self.asked = asked
        if asked is not None:
            del self.fields["countersigners"]
        units = queries.units(actor)
        self.known = {item.pk for _, _, group in units for item in group}
        for field in self.fields.values():
            if isinstance(field, UnitsField):
                field.offer(units)
        top = min(actor.ceiling, actor.clearance)
        self._choices("document_kind", [(kind, kind) for kind in queries.kinds()])
        self._choices("urgency", queries.urgencies())
        self._choices("level", [(int(lv), word) for lv, word in LEVEL_WORDS.items() if lv <= top])

    def _choices(self, name: str, choices: Iterable[tuple[Any, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(choices)

    def clean(self) -> dict[str, Any]:
        """Ask the drafting rules too, so that a clerk sees every fault in one round."""
        cleaned = super().clean() or self.cleaned_data
        found = problems(self.draft(), kinds=queries.kinds(), known=self.known, now=moment.now())
        self.blame(found)
        return cleaned

    def blame(self, found: dict[str, str]) -> None:
        """Put each fault beside its field, unless the field already has one."""
        for name, message in found.items():
            field: str | None = {"due_at": "due_date", "file": "attachments"}.get(name, name)
            if field not in self.fields:
                field = None
            if field is None or field not in self.errors:
                self.add_error(field, message)

    def draft(self) -> Draft:
        """What has been filled in so far, as the command takes it."""
        given = self.cleaned_data
        return Draft(
            document_kind=given.get("document_kind", ""),
            title=given.get("title", ""),
            body=given.get("body", ""),
            urgency=given.get("urgency", 0),
            level=given.get("level", 1),
            addressees=given.get("addressees", ()),
            copy_to=given.get("copy_to", ()),
            countersigners=self.asked or given.get("countersigners", ()),
            note=given.get("note", ""),
            due_at=self._due(given),
            answers=given.get("answers"),
        )

    def _due(self, given: dict[str, Any]) -> datetime | None:
        day = given.get("due_date")
        if day is None:
            return None
        return datetime.combine(day, given.get("due_time") or END_OF_DAY, moment.CHINA)


class OpinionForm(forms.Form):
    """An opinion at a step of a procedure, and where to return to."""

    use_required_attribute = False

    opinion = forms.CharField(
        label="意见",
        required=False,
        widget=forms.Textarea,
        help_text="同意时可不填；退回必须写明理由。",
    )
    to_step = forms.ChoiceField(label="退回到", required=False)

    def __init__(self, *args: Any, steps: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if len(steps) > 1:
            self.fields["to_step"].choices = list(steps)  # type: ignore[attr-defined]
        else:
            del self.fields["to_step"]


class ReasonForm(forms.Form):
    """Why a document is sent back."""

    use_required_attribute = False

    reason = forms.CharField(
        label="退回理由",
        widget=forms.Textarea,
        required=False,
        help_text="来文机关会看到这段文字（条例第二十四条）。",
    )


class RemarkForm(forms.Form):
    """A few words that may accompany an act."""

    use_required_attribute = False

    opinion = forms.CharField(label="意见", required=False, widget=forms.Textarea)


class InstructForm(forms.Form):
    """A leader's instruction, and who is to read the document."""

    use_required_attribute = False

    opinion = forms.CharField(label="批示意见", widget=forms.Textarea, required=False)
    readers = forms.TypedMultipleChoiceField(
        label="传阅人员",
        required=False,
        coerce=UUID,
        widget=forms.CheckboxSelectMultiple,
        help_text="不选则直接转办结。",
    )

    def __init__(self, *args: Any, people: Iterable[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["readers"].choices = list(people)  # type: ignore[attr-defined]


class UnitsForm(forms.Form):
    """A choice of units on a page that may hold several such forms."""

    use_required_attribute = False

    units = UnitsField(
        label="单位",
        required=False,
        error_messages={"invalid_choice": "所选单位的情况已有变化，请重新选择。"},
    )

    def __init__(self, *args: Any, units: Units = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"auto_id": f"{type(self).__name__.lower()}_%s"})
        field = self.fields["units"]
        assert isinstance(field, UnitsField)
        field.offer(units)
        self.offered = field.groups

    def chosen(self) -> tuple[UUID, ...]:
        """Every unit that was ticked. The command says which of them it cannot be done with."""
        found: dict[UUID, None] = {}
        for text in self.data.getlist("units"):  # type: ignore[attr-defined]
            if text in self.offered:
                found |= dict.fromkeys(self.offered[text])
            else:
                with suppress(ValueError):
                    found[UUID(text)] = None
        return tuple(found)


class RecallForm(UnitsForm):
    """From whom a document is taken back, and why."""

    reason = forms.CharField(
        label="撤回理由",
        widget=forms.Textarea,
        required=False,
        help_text="所选单位都会看到这段文字。",
    )


class ResendForm(UnitsForm):
    """To whom a document is sent as well, or again."""


class AnswerForm(forms.Form):
    """What we say to a request for a document back."""

    use_required_attribute = False

    reason = forms.CharField(
        label="答复",
        widget=forms.Textarea,
        required=False,
        help_text="同意时可不填；不同意必须写明理由。来文机关会看到。",
    )


class RemindForm(forms.Form):
    """What to say to those who are late."""

    use_required_attribute = False

    text = forms.CharField(
        label="催办内容", required=False, max_length=200, initial="请尽快签收并办理。"
    )


class OfferForm(forms.Form):
    """The one line under which a document is offered for publication."""

    use_required_attribute = False

    summary = forms.CharField(label="内容提要", required=False, max_length=200)


def blame(form: forms.Form, error: HouseError) -> None:
    """Show a refusal on the form: beside the fields it names, else on top."""
    form.is_valid()
    found = error.fields if isinstance(error, Invalid) else {"": error.message}
    for name, message in found.items():
        form.add_error(name if name in form.fields else None, message)
