"""What officers fill in when they release, correct, refuse or withdraw."""

from __future__ import annotations

from typing import Any

from django import forms

from zhengtong.capabilities.portal import queries


class ReleaseForm(forms.Form):
    """Where an article goes and how it is announced; one box more where care is needed."""

    use_required_attribute = False

    column = forms.ChoiceField(label="栏目", error_messages={"required": "请选择栏目。"})
    summary = forms.CharField(
        label="摘要",
        required=False,
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="一两句话说清这件事对群众意味着什么，显示在列表中。",
    )
    confirm_personal_data = forms.BooleanField(
        label="已逐处核对，确需公开，交第二人复核", required=False
    )

    def __init__(self, *args: Any, careful: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not careful:
            del self.fields["confirm_personal_data"]
        self.columns = {str(column.pk): column for column in queries.columns()}
        groups: dict[str, list[tuple[str, str]]] = {}
        for key, column in self.columns.items():
            groups.setdefault(column.site.name, []).append((key, column.name))
        choices: list[Any] = [("", "请选择"), *groups.items()]
        field = self.fields["column"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean_column(self) -> Any:
        return self.columns[self.cleaned_data["column"]]


class ReasonForm(forms.Form):
    """Why something is refused or withdrawn."""

    use_required_attribute = False

    reason = forms.CharField(
        label="理由",
        max_length=300,
        error_messages={"required": "请写明理由。"},
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class ReviseForm(forms.Form):
    """The words of an article, before they are reviewed again."""

    use_required_attribute = False

    title = forms.CharField(
        label="标题", max_length=200, error_messages={"required": "请填写标题。"}
    )
    summary = forms.CharField(
        label="摘要",
        required=False,
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    body = forms.CharField(
        label="正文",
        error_messages={"required": "请填写正文。"},
        widget=forms.Textarea(attrs={"class": "tall"}),
        help_text="每段一行；“一、”“（一）”“1.”开头的段落自动排为各级标题。",
    )
