"""What officers give to the nodes under faults, and the proof that each came exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.province import Province, Walled
from tests.federation.city import office_id, wait_until

LANES = (0, 1, 2, 3)
PATIENCE = 400
"""Seconds; after many failures a child dials every five minutes only."""


@dataclass
class Traffic:
    """Letters and documents under one mark.

    `letters`: by (from, to), how many were posted in each lane; `documents`: by (from, to), those
    whose dispatch was acknowledged; `faults`: what was done to the nodes meanwhile, and how often.
    `tell` takes the counts once all is proven.
    """

    city: Province
    mark: str
    tell: Callable[[dict[str, object]], None]
    faults: Counter[str] = field(default_factory=Counter)
    letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    documents: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def post(self, origin: Walled, to: Walled, number: int) -> None:
        """So many letters in each lane. To be called once for each pair: letters bear places."""
        for lane in LANES:
            origin.do("post_lane", node=to.name, lane=lane, number=number, mark=self.mark)
        self.letters[origin.name, to.name] += number

    def prepare(self, origin: Walled, to: Walled, number: int) -> list[str]:
        leader, units = f"{origin.office}领导", [str(office_id(to.office))]
        found = origin.do("prepare", clerk=origin.clerk, leader=leader, to=units, number=number)
        return [str(document) for document in found]

    def dispatch(self, origin: Walled, to: Walled, document: str) -> None:
        """Returns once the node has acknowledged it: from then on it must not be lost."""
        origin.insist("dispatch", clerk=origin.clerk, document=document)
        self.documents.setdefault((origin.name, to.name), []).append(document)

    def send(self, origin: Walled, to: Walled, number: int) -> None:
        for document in self.prepare(origin, to, number):
            self.dispatch(origin, to, document)

    def send_large(self, origin: Walled, to: Walled) -> str:
        """A document with a file of one MiB, which travels as a letter of its own."""
        document = str(
            origin.do(
                "send_large",
                clerk=origin.clerk,
                leader=f"{origin.office}领导",
                to=[str(office_id(to.office))],
                title="关于报送水位",
                mebibytes=1,
            )
        )
        self.documents.setdefault((origin.name, to.name), []).append(document)
        return document

    @property
    def given(self) -> int:
        """How many letters and documents in all."""
        posted = sum(self.letters.values()) * len(LANES)
        return posted + sum(map(len, self.documents.values()))

    def came(self, origin: str, to: str) -> Callable[[], bool]:
        """Whether all letters posted from one node to another came once and in order."""
        return self._letters_came(origin, to, self.letters[origin, to])

    def prove(self) -> None:
        """Everything arrives once and in order, is signed for, and the signatures come back."""
        for (origin, to), number in self.letters.items():
            self._await(f"letters {origin} → {to}", self._letters_came(origin, to, number))
        for (origin, to), documents in self.documents.items():
            self._await(f"documents {origin} → {to}", self._documents_came(to, documents))
            receiver = self._site(to)
            for document in documents:
                receiver.do("sign_for", clerk=receiver.clerk, document=document)
        for (origin, _), documents in self.documents.items():
            self._await(f"signatures to {origin}", self._signatures_came(origin, documents))
        self.rest()
        lost, twice = self._count()
        assert (lost, twice) == (0, 0)
        counts = {"given": self.given, "lost": lost, "twice": twice, "faults": self.faults}
        self.tell(counts)

    def _count(self) -> tuple[int, int]:
        """How many did not come, and how many came again."""
        lost = twice = 0
        for (origin, to), number in self.letters.items():
            heard = self._site(to).do("heard", origin=origin, mark=self.mark)
            for lane in LANES:
                came = Counter(heard.get(str(lane), []))
                lost += number - len(came)
                twice += came.total() - len(came)
        for (_, to), documents in self.documents.items():
            found = self._site(to).do("received", clerk=self._site(to).clerk)
            lost += sum(document not in found for document in documents)
            twice += sum(found.get(document, 1) - 1 for document in documents)
        return lost, twice

    def rest(self) -> None:
        """No node has anything left to do, and none refused or gave up anything."""
        for site in self.city.nodes:
            self._await(f"{site.name} to rest", lambda site=site: _at_rest(site))  # type: ignore[misc]

    def sound(self, *tolerated: str) -> None:
        """Each node finds itself and its log sound: no fault, no alarm left.

        Nor was there ever an alarm that a neighbour misbehaved, or another than the `tolerated`.
        """
        for site in self.city.nodes:
            self._await(f"{site.name} to be sound", lambda site=site: not _faults(site))  # type: ignore[misc]
            raised = set(site.do("alarms_ever")) - set(tolerated)
            assert not raised, f"{site.name}: {raised}"

    def _letters_came(self, origin: str, to: str, number: int) -> Callable[[], bool]:
        wanted = {str(lane): list(range(number)) for lane in LANES}
        receiver = self._site(to)
        return lambda: receiver.do("heard", origin=origin, mark=self.mark) == wanted

    def _documents_came(self, to: str, documents: list[str]) -> Callable[[], bool]:
        receiver = self._site(to)

        def came() -> bool:
            found = receiver.do("received", clerk=receiver.clerk)
            return [found.get(document, 0) for document in documents] == [1] * len(documents)

        return came

    def _signatures_came(self, origin: str, documents: list[str]) -> Callable[[], bool]:
        sender = self._site(origin)
        return lambda: set(documents) <= set(sender.do("signed_for", clerk=sender.clerk))

    def _site(self, name: str) -> Walled:
        (found,) = (site for site in self.city.nodes if site.name == name)
        return found

    def _await(self, what: str, condition: Callable[[], bool]) -> None:
        wait_until(condition, PATIENCE, what)


def _faults(site: Walled) -> list[str]:
    """What the doctor finds, whatever the disk of this machine."""
    found = site.examine().splitlines()
    return [line for line in found if "less than 1 GiB" not in line]


def _at_rest(site: Walled) -> bool:
    left = site.do("counts")
    assert (left["refused"], left["dead"]) == (0, 0), f"{site.name}: {left}"
    return not any(left[name] for name in ("pending", "waiting", "unreceipted", "unsealed"))
