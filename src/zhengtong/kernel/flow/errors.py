"""What can go wrong in a procedure. Every message is Chinese and fit to show to the person."""


class FlowError(Exception):
    """Base of every refusal of the engine; `str(error)` is what the person reads."""


class DefinitionError(FlowError):
    """The procedure itself is wrong. `place` is the path inside its JSON, `steps[2].next[0].to`."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}：{problem}")
        self.place = place
        self.problem = problem


class WrongData(FlowError):
    """A value of the case does not fit the field that the procedure declares."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}：{problem}")
        self.field = field
        self.problem = problem


class WrongVersion(FlowError):
    """A case was advanced with another procedure or version than the one it is pinned to."""


class UnknownStep(FlowError):
    """The named step is not part of the procedure."""


class NotYourTurn(FlowError):
    """The actor has nothing open in the step, or the case has moved on since the page was read."""


class NotAllowed(FlowError):
    """The step does not offer this action, or not now, or not with these arguments."""
