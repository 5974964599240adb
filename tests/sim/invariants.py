"""What must hold after every run, whatever went wrong in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from uuid import UUID

from tests.sim.culprit import cheated
from tests.sim.node import Document, Node
from tests.sim.rotation import BY_KEYS
from zhengtong.wire import merkle
from zhengtong.wire.envelope import read_header
from zhengtong.wire.errors import Refusal, WireError
from zhengtong.wire.intake import LETTERS_LOST
from zhengtong.wire.keys import FindCard
from zhengtong.wire.link import Held
from zhengtong.wire.receipts import Event, verify
from zhengtong.wire.witness import RESTARTED, ROLLED_BACK, UNVERIFIED

AFTER_A_RESTORE = (RESTARTED, ROLLED_BACK, UNVERIFIED)


def settled(nodes: list[Node]) -> bool:
    """Whether everything written has come, and its receipts have come back."""
    return not any(_unfinished(nodes))


def violations(nodes: list[Node]) -> list[str]:
    """Every broken promise, in words; links of a culprit are not judged."""
    found = list(_unfinished(nodes))
    anew = {message for node in nodes for message in node.anew}
    find = _any_card(nodes)
    for node in nodes:
        if node.honest:
            found += node.complaints
            found += node.order(anew)
            found += _receipts(node, find)
            found += _log(node)
            found += _holes(node)
            found += _alarms(node, nodes)
    for node, other in _links(nodes):
        found += _chains(node, other)
        found += _witness(node, other)
    return found


def unnamed(nodes: list[Node], before: Mapping[str, Counter[str]], calm: float) -> Iterator[str]:
    """Cheats that were not named by those they cheated since all has been well.

    An alarm may be lost with its node's disk: before the calm, or by a restore that was due then.
    """
    by_name = {node.name: node for node in nodes}
    restored = {node.name for node in nodes if node.undone}
    for node in nodes:
        since = cheated(node, restored=restored) - before[node.name]
        for victim, times in since.items():
            named = any(peer == node.name for peer, _ in by_name[victim].store.alarms)
            spared = any(to >= calm for _, to in by_name[victim].undone)
            if times > 2 and by_name[victim].honest and not (named or spared):
                yield f"{node.name} has cheated {victim} {times} times, who does not say so"


def _links(nodes: list[Node]) -> Iterator[tuple[Node, Node]]:
    """Both directions of every link between honest nodes."""
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        for name in node.store.peers:
            if node.honest and by_name[name].honest:
                yield node, by_name[name]


def _unfinished(nodes: list[Node]) -> Iterator[str]:
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        yield from _dead(node)
        withheld = _withheld(node)
        for document in node.told:
            other = by_name[document.to]
            if not (node.honest and other.honest) or _forgotten(node, document):
                continue
            if document.message in other.inbox or document.message in withheld:
                continue
            if not _refused(document, node, other):
                yield f"{document.name} {document.version} of {node.name} is not at {other.name}"
        answered = all(by_name[name].honest for name in (node.name, *node.store.peers))
        if answered and node.change.under_way:
            yield f"{node.name} has not changed its keys to the end"
    for node, other in _links(nodes):
        for row in node.store.lanes(other.name):
            if not row.placed or row.receipted != row.numbered.number:
                yield f"{node.name} lacks receipts of {other.name} in lane {row.lane}"


def _dead(node: Node) -> Iterator[str]:
    """Honest letters are refused only because keys have changed, and then they are sealed anew, or
    withheld because of a lowered ceiling."""
    for key, row in node.store.outgoing.items():
        if not row.dead or row.dead.code is Refusal.WITHHELD:
            continue
        if row.dead.code not in BY_KEYS or key in node.sealed:
            yield f"{node.name} {key} was refused: {row.dead.code.value} {row.dead.detail}"


def _refused(document: Document, node: Node, other: Node) -> bool:
    """Both ends were restored, and the receiver refused for its keys, or had only the hash of, what
    an undone life of it had receipted. Its people see that; the sender's do, unless its answer was
    lost."""
    refused = [
        sealed.document.message
        for (peer, lane, number), sealed in node.sealed.items()
        if peer == other.name
        and (row := other.store.incoming.get((node.name, lane, number)))
        and row.owed.refused
        and row.owed.refused.code in (*BY_KEYS, Refusal.WITHHELD)
    ]
    return bool(node.undone and other.undone) and document.message in refused


def _withheld(node: Node) -> set[UUID]:
    """What was kept back from a neighbour whose ceiling was lowered."""
    return {
        read_header(row.envelope).message_id
        for row in node.store.outgoing.values()
        if row.dead and row.dead.code is Refusal.WITHHELD
    }


def _forgotten(node: Node, document: Document) -> bool:
    """Written between the backup that its node had to go back to and that day."""
    return any(began <= document.at <= ended for began, ended in node.undone)


def _receipts(node: Node, find: FindCard) -> Iterator[str]:
    """Each letter of ours has a receipt that verifies and names it."""
    named = dict[int, dict[int, bytes]]()
    for (peer, lane, number), row in node.store.outgoing.items():
        lane_row = node.store.lane_rows[peer, lane]
        held = node.store.held.get((peer, lane, number))
        if held is None:
            if number <= lane_row.receipted:
                yield f"{node.name} holds no receipt for {peer} {lane} {number}"
            continue
        if id(held) not in named:
            try:
                named[id(held)] = _named(held, find)
            except WireError as error:
                yield f"{node.name}: receipt {held.first}–{held.last} of {peer}: {error}"
                named[id(held)] = {}
        if named[id(held)].get(number) != row.mark.digest:
            yield f"{node.name}: the receipt for {peer} {lane} {number} does not name it"


def _any_card(nodes: list[Node]) -> FindCard:
    """What a node signed with a key that it had at any time stays signed."""
    return {card.signing_kid: card for node in nodes for card in node.change.cards}.get


def _named(held: Held, find: FindCard) -> dict[int, bytes]:
    _, entries = verify(held.body, find)
    return {
        entry.sequence: entry.envelope_hash for entry in entries if entry.event is not Event.SENT
    }


def _log(node: Node) -> Iterator[str]:
    """The log's root is that of the entries it holds."""
    epoch, log = node.store.log()
    hash = node.keys.suite.hash
    leaves = [merkle.leaf_hash(entry, hash) for entry in log.entries(0, log.size)]
    if merkle.root(leaves, hash) != log.root():
        yield f"the log of {node.name}, epoch {epoch}, is damaged"


def _holes(node: Node) -> Iterator[str]:
    """Where a letter is missing, people know of it."""
    for (peer, lane), row in node.store.lane_rows.items():
        numbers = range(1, row.received.number + 1)
        if (peer, LETTERS_LOST) not in node.store.alarms:
            yield from (
                f"{node.name} lacks {peer} {lane} {number} and says nothing"
                for number in numbers
                if (peer, lane, number) not in node.store.incoming
            )


def _chains(node: Node, other: Node) -> Iterator[str]:
    for row in node.store.lanes(other.name):
        there = other.store.lane_rows.get((node.name, row.lane))
        received = there.received if there else None
        if received and received.number == row.numbered.number and received != row.numbered:
            yield f"{node.name} and {other.name} disagree on lane {row.lane}"
        if received and received.number > row.numbered.number:
            yield f"{other.name} holds more of {node.name} in lane {row.lane} than was numbered"


def _witness(node: Node, other: Node) -> Iterator[str]:
    """What a node has verified of a neighbour's log is what stands in that log."""
    seen = node.store.peers[other.name].seen
    if seen.epoch not in other.store.sizes:
        if seen.epoch and not other.undone:
            yield f"{node.name} has seen an epoch {seen.epoch} of {other.name}"
        return
    log = other.store.past_log(seen.epoch)
    for size, root in seen.roots:
        if (size > log.size or log.root(size) != root) and not other.undone:
            yield f"{node.name} has seen another log of {other.name} at {size}"
            return


def _alarms(node: Node, nodes: list[Node]) -> Iterator[str]:
    by_name = {other.name: other for other in nodes}
    for (peer, code), alarm in node.store.alarms.items():
        other = by_name[peer]
        if not other.honest:
            continue
        restored = [code for end in (node, other) if end.undone for code in AFTER_A_RESTORE]
        if node.undone and other.undone:
            restored.append(LETTERS_LOST)
        if code not in restored:
            yield f"{node.name} accuses {peer} of {code}: {alarm.detail}"
