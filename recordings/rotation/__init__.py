"""Rotating a stack's keys, blue and green, with the hand-over to 100ms in the middle and never an outage.

`slots`: the configuration, deployed and written. `position`: what is remembered. `users`: who has which key at 100ms.
`course`: what is due, a pure function. `proof`: keys proved by use. `work`: the doing. The command is
`recordings.cli.rotate`.
"""

from __future__ import annotations

from recordings.rotation.course import NOTES, Action, Kind
from recordings.rotation.position import Position
from recordings.rotation.slots import Role
from recordings.rotation.work import Means, Rotation

__all__ = ["NOTES", "Action", "Kind", "Means", "Position", "Role", "Rotation"]
