"""S3 Lifecycle: reading a configuration, checking it as S3 does, and saying what is due. Pure; `sweep` carries it out.

Sources: the Amazon S3 User Guide, "Lifecycle configuration elements", "Expiring objects", "Transitioning objects";
error texts as S3 answers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

_MALFORMED: Final = "The XML you provided was not well-formed or did not validate against our published schema"
_MIN_IA_DAYS: Final = 30
_IA: Final = ("STANDARD_IA", "ONEZONE_IA")
_COLDER: Final = ("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")


class LifecycleError(Exception):
    """S3 would refuse this configuration with `code` (HTTP 400)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Transition:
    """To a storage class after days."""

    days: int
    storage_class: str


@dataclass(frozen=True)
class Rule:
    """One rule; days are None where the rule has no such action."""

    id: str
    enabled: bool
    prefix: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    larger: int | None = None
    smaller: int | None = None
    days: int | None = None
    date: datetime | None = None
    expired_marker: bool = False
    noncurrent_days: int | None = None
    newer_noncurrent: int = 0
    abort_days: int | None = None
    transitions: tuple[Transition, ...] = ()
    noncurrent_transitions: tuple[Transition, ...] = ()
    both_days_and_marker: bool = False

    @property
    def has_action(self) -> bool:
        """Whether it does anything."""
        numbers = (self.days, self.date, self.noncurrent_days, self.abort_days)
        some = any(value is not None for value in numbers)
        return some or self.expired_marker or bool(self.transitions) or bool(self.noncurrent_transitions)

    def covers(self, key: str, size: int = 0) -> bool:
        """Whether an object falls under it. Tags are looked at by `sweep`."""
        if not key.startswith(self.prefix):
            return False
        return (self.larger is None or size > self.larger) and (self.smaller is None or size < self.smaller)


def parse_rules(body: bytes) -> list[Rule]:
    """The rules of a LifecycleConfiguration document. Raises LifecycleError (MalformedXML)."""
    try:
        root: Element = fromstring(body)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return [_rule(element) for element in root.findall("Rule")]
    except (ParseError, ValueError):
        raise LifecycleError("MalformedXML", _MALFORMED) from None


def _rule(element: Element) -> Rule:
    within = element.find("Filter/And")
    scope = within if within is not None else element.find("Filter")
    scope = scope if scope is not None else element
    expiration = element.find("Expiration")
    names = set() if expiration is None else {child.tag for child in expiration}
    date = element.findtext("Expiration/Date")
    return Rule(
        id=element.findtext("ID") or "",
        enabled=element.findtext("Status") == "Enabled",
        prefix=scope.findtext("Prefix") or "",
        tags={tag.findtext("Key") or "": tag.findtext("Value") or "" for tag in scope.findall("Tag")},
        larger=_number(scope, "ObjectSizeGreaterThan"),
        smaller=_number(scope, "ObjectSizeLessThan"),
        days=_number(element, "Expiration/Days"),
        date=datetime.fromisoformat(date).astimezone(UTC) if date else None,
        expired_marker=element.findtext("Expiration/ExpiredObjectDeleteMarker") == "true",
        noncurrent_days=_number(element, "NoncurrentVersionExpiration/NoncurrentDays"),
        newer_noncurrent=_number(element, "NoncurrentVersionExpiration/NewerNoncurrentVersions") or 0,
        abort_days=_number(element, "AbortIncompleteMultipartUpload/DaysAfterInitiation"),
        transitions=_transitions(element, "Transition", "Days"),
        noncurrent_transitions=_transitions(element, "NoncurrentVersionTransition", "NoncurrentDays"),
        both_days_and_marker="ExpiredObjectDeleteMarker" in names and bool(names & {"Days", "Date"}),
    )


def _number(element: Element, path: str) -> int | None:
    text = element.findtext(path)
    return None if text is None else int(text)


def _transitions(element: Element, name: str, days: str) -> tuple[Transition, ...]:
    found = element.findall(name)
    return tuple(Transition(_number(t, days) or 0, t.findtext("StorageClass") or "") for t in found)


def check_rules(rules: Sequence[Rule]) -> None:
    """Raise the LifecycleError that S3 answers with, if any."""
    if not rules:
        raise LifecycleError("MalformedXML", _MALFORMED)
    ids = [rule.id for rule in rules if rule.id]
    if len(set(ids)) < len(ids):
        raise LifecycleError("InvalidArgument", "Rule ID must be unique. Found same ID for one or more rules")
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Rule) -> None:
    if rule.both_days_and_marker:
        raise LifecycleError("MalformedXML", _MALFORMED)
    if not rule.has_action:
        raise LifecycleError("InvalidRequest", "At least one action needs to be specified in a rule")
    if rule.tags and rule.abort_days is not None:
        raise LifecycleError("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags")
    if rule.tags and rule.expired_marker:
        raise LifecycleError("InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags")
    _check_transitions(rule, rule.transitions, rule.days, "Days", "Transition", "Expiration")
    _check_transitions(
        rule,
        rule.noncurrent_transitions,
        rule.noncurrent_days,
        "NoncurrentDays",
        "NoncurrentVersionTransition",
        "NoncurrentVersionExpiration",
    )


def _check_transitions(
    rule: Rule, transitions: Sequence[Transition], expiry: int | None, unit: str, action: str, ending: str
) -> None:
    where = f"for filter '(prefix={rule.prefix})'"
    for transition in transitions:
        name, days = transition.storage_class, transition.days
        if name in _IA and days < _MIN_IA_DAYS:
            least = f"must be greater than or equal to {_MIN_IA_DAYS} for storageClass '{name}'"
            raise LifecycleError("InvalidArgument", f"'{unit}' in {action} action {least}")
        if expiry is not None and expiry <= days:
            message = f"'{unit}' in the {ending} action {where} must be greater than '{unit}' in the {action} action"
            raise LifecycleError("InvalidArgument", message)
    warm = [t for t in transitions if t.storage_class in _IA]
    for cold in (t for t in transitions if t.storage_class in _COLDER):
        for other in warm:
            if cold.days < other.days + _MIN_IA_DAYS:
                message = (
                    f"'{unit}' in the {action} action for StorageClass '{cold.storage_class}' {where} must be "
                    f"{_MIN_IA_DAYS} days more than '{unit}' in the {action} action for StorageClass "
                    f"'{other.storage_class}'"
                )
                raise LifecycleError("InvalidArgument", message)


def due(since: datetime, days: int) -> datetime:
    """When an action falls due: `days` after `since`, rounded up to the next midnight UTC."""
    moment = since.astimezone(UTC) + timedelta(days=days)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == moment else midnight + timedelta(days=1)


@dataclass(frozen=True)
class Version:
    """One version of an object, or a delete marker."""

    key: str
    version_id: str
    modified: datetime
    size: int = 0
    latest: bool = True
    marker: bool = False
    storage_class: str = "STANDARD"


@dataclass(frozen=True)
class Action:
    """What to do with one version: `expire` (delete the current one), `remove` (a version for good) or `transition`."""

    kind: str
    version: Version
    rule: str
    storage_class: str = ""


def due_actions(rule: Rule, versions: Sequence[Version], now: datetime, *, versioned: bool) -> list[Action]:
    """What one rule has due for the versions of one object, newest first. `now` is UTC."""
    current, older = versions[0], versions[1:]
    if not rule.enabled or not rule.covers(current.key, current.size):
        return []
    actions = [_current_action(rule, current, alone=not older, now=now, versioned=versioned)]
    for place, version in enumerate(older):
        actions.append(_older_action(rule, version, since=versions[place].modified, kept=place, now=now))
    return [action for action in actions if action is not None]


def _current_action(rule: Rule, current: Version, *, alone: bool, now: datetime, versioned: bool) -> Action | None:
    aged = rule.days is not None and due(current.modified, rule.days) <= now
    dated = rule.date is not None and rule.date <= now
    if current.marker:
        gone = alone and (rule.expired_marker or aged or dated)
        return Action("remove", current, rule.id) if gone else None
    if aged or dated:
        return Action("expire" if versioned else "remove", current, rule.id)
    return _transition(rule.transitions, current, current.modified, now, rule.id)


def _older_action(rule: Rule, version: Version, *, since: datetime, kept: int, now: datetime) -> Action | None:
    days = rule.noncurrent_days
    if days is not None and kept >= rule.newer_noncurrent and due(since, days) <= now:
        return Action("remove", version, rule.id)
    if version.marker:
        return None
    return _transition(rule.noncurrent_transitions, version, since, now, rule.id)


def _transition(
    transitions: Sequence[Transition], version: Version, since: datetime, now: datetime, rule_id: str
) -> Action | None:
    passed = [t for t in transitions if due(since, t.days) <= now]
    if not passed:
        return None
    target = max(passed, key=lambda transition: transition.days).storage_class
    return Action("transition", version, rule_id, target) if target != version.storage_class else None
