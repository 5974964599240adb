"""What differs from node to node of the demo: neighbours and people. Django is already up."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connections

from zhengtong.demo import plan
from zhengtong.kernel import moment
from zhengtong.kernel.directory import commands
from zhengtong.kernel.directory.actors import node_actor
from zhengtong.kernel.directory.models import Organisation
from zhengtong.kernel.labels import Level
from zhengtong.kernel.messages.keyfile import read_keys
from zhengtong.kernel.messages.membership import admit
from zhengtong.kernel.messages.roads.links import choose_road
from zhengtong.kernel.node import load
from zhengtong.wire.keys import NodeCard


def admit_neighbours(folder: Path, node: plan.NodePlan, nodes: tuple[plan.NodePlan, ...]) -> None:
    """Exchange cards with the parent and the children, whose folders lie beside this node's."""
    administrator = node_actor({"messages.admit", "messages.choose_road"})
    for other in nodes:
        if other.name == node.parent or other.parent == node.name:
            theirs = load(folder / other.name / "node.toml")
            card = NodeCard.issue(
                read_keys(theirs.keys),
                title=theirs.title,
                zone=theirs.zone.value,
                ceiling=int(theirs.ceiling),
                url=theirs.exchange_url,
                issued_at=moment.now(),
            )
            admit(administrator, card, is_parent=other.name == node.parent)
            if settings.NODE.nats and other.parent == node.name:
                choose_road(administrator, other.name, "nats")


def register_people(node: plan.NodePlan, password: str) -> None:
    """The people of every organisation this node hosts, in posts that carry their duties."""
    administrator = node_actor(commands.DUTIES)
    hashed = make_password(password)  # one slow hash for all: they share the demo's password
    organisations = {item.code: item for item in Organisation.objects.all()}
    for unit in node.units:
        for someone in plan.people(unit):
            person = commands.add_person(
                administrator,
                sign_in_name=someone.sign_in_name,
                name=someone.name,
                password=password,
                clearance=min(Level(someone.clearance), settings.NODE.ceiling),
                hashed=hashed,
            )
            post = commands.add_post(
                administrator,
                organisations[unit.code],
                someone.title,
                someone.duties,
                division=someone.division,
            )
            commands.appoint(administrator, person, post)
    connections.close_all()
