"""All the kernel's tables, gathered where Django looks for them."""

from zhengtong.kernel.audit import AuditCheckpoint, AuditEntry, AuditLeaf
from zhengtong.kernel.clock.models import Day
from zhengtong.kernel.directory.models import (
    Appointment,
    Division,
    Organisation,
    OrganisationVersion,
    Person,
    Post,
    PostDuty,
    SignInAttempt,
)
from zhengtong.kernel.directory.sessions import OpenSession
from zhengtong.kernel.files import StoredFile
from zhengtong.kernel.flow.models import Case, Step
from zhengtong.kernel.membership.models import (
    Approval,
    DirectoryVersion,
    FormerCard,
    Invitation,
    JoinAttempt,
    Member,
    Rotation,
    RotationAnswer,
)
from zhengtong.kernel.messages.delays import LinkDelay, LinkTimed
from zhengtong.kernel.messages.models import (
    Arrival,
    CarriedReceipt,
    Cosignature,
    Handling,
    IncomingFile,
    Lease,
    Letter,
    LinkAlarm,
    LinkLane,
    LogBlock,
    LogHead,
    LogTile,
    Message,
    Neighbour,
    PeerStanding,
    Receipt,
    Route,
    Sent,
)
from zhengtong.kernel.messages.roads.models import Voyage
from zhengtong.kernel.messages.timers import Timer
from zhengtong.kernel.messages.watch import LinkWatch
from zhengtong.kernel.notices import Notice
from zhengtong.kernel.numbering import Counter
from zhengtong.kernel.records import Grant, Named
from zhengtong.kernel.search.queue import Changed
from zhengtong.kernel.stamping import Stamp, StampingTrouble
from zhengtong.kernel.tasks import Task

__all__ = [
    "Appointment",
    "Approval",
    "Arrival",
    "AuditCheckpoint",
    "AuditEntry",
    "AuditLeaf",
    "CarriedReceipt",
    "Case",
    "Changed",
    "Cosignature",
    "Counter",
    "Day",
    "DirectoryVersion",
    "Division",
    "FormerCard",
    "Grant",
    "Handling",
    "IncomingFile",
    "Invitation",
    "JoinAttempt",
    "Lease",
    "Letter",
    "LinkAlarm",
    "LinkDelay",
    "LinkLane",
    "LinkTimed",
    "LinkWatch",
    "LogBlock",
    "LogHead",
    "LogTile",
    "Member",
    "Message",
    "Named",
    "Neighbour",
    "Notice",
    "OpenSession",
    "Organisation",
    "OrganisationVersion",
    "PeerStanding",
    "Person",
    "Post",
    "PostDuty",
    "Receipt",
    "Rotation",
    "RotationAnswer",
    "Route",
    "Sent",
    "SignInAttempt",
    "Stamp",
    "StampingTrouble",
    "Step",
    "StoredFile",
    "Task",
    "Timer",
    "Voyage",
]
