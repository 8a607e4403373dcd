"""IAM conditions: the part of the Common Expression Language that Cloud Storage conditions are written in.

Grammar: `||`, `&&`, `!`, parentheses, `==`, `!=`, `<`, `<=`, `>`, `>=`, string literals, `true`, `false`, the
attributes in `ATTRIBUTES`, `timestamp('…')`, `api.getAttribute('…', '…')` and the methods `startsWith`, `endsWith` on
strings. Anything else is refused by name when a policy is set, so that no condition ever counts for more or less than
it says. A CEL library would accept the whole language and find an unknown name only when a request gets there.

Sources: cloud.google.com/storage/docs/access-control/iam#conditions,
cloud.google.com/iam/docs/conditions-attribute-reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from sandbox.google.errors import GoogleError, invalid

ATTRIBUTES: Final = {
    "resource.name": str,
    "resource.type": str,
    "resource.service": str,
    "request.time": datetime,
}
LIST_PREFIX: Final = "storage.googleapis.com/objectListPrefix"
_LIMIT: Final = 4096
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\\n]|\\['"\\])*'|"(?:[^"\\\n]|\\['"\\])*")"""
    r"""|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>\|\||&&|==|!=|<=|>=|[!<>().,]))"""
)
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Context:
    """What a condition can see of a request. `list_prefix` is None unless objects are listed."""

    name: str
    type: str
    time: datetime
    list_prefix: str | None = None
    service: str = "storage.googleapis.com"

    def attribute(self, path: str) -> Any:
        """The value of one of `ATTRIBUTES`."""
        return {
            "resource.name": self.name,
            "resource.type": self.type,
            "resource.service": self.service,
            "request.time": self.time,
        }[path]


Evaluate = Callable[[Context], Any]


@dataclass(frozen=True)
class _Node:
    kind: type
    value: Evaluate


@lru_cache(maxsize=256)
def compiled(expression: str) -> Evaluate:
    """The condition as a function of the context. Raises GoogleError 400 naming what is not understood."""
    if len(expression) > _LIMIT:
        raise _refused(f"it is longer than {_LIMIT} characters")
    parser = _Parser(_tokens(expression))
    node = parser.either()
    parser.end()
    if node.kind is not bool:
        raise _refused("it does not evaluate to true or false")
    return node.value


def holds(expression: str, context: Context) -> bool:
    """Whether the condition is met."""
    return bool(compiled(expression)(context))


def _refused(why: str) -> GoogleError:
    return invalid(f"The condition expression cannot be used: {why}.")


def _tokens(expression: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    text = expression.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _refused(f"unexpected character {text[at:].lstrip()[:1]!r}")
        tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent, one method a level of precedence, `||` first."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def either(self) -> _Node:
        return self._joined("||", self._both, any)

    def _both(self) -> _Node:
        return self._joined("&&", self._compared, all)

    def _joined(self, sign: str, below: Callable[[], _Node], rule: Callable[[Any], bool]) -> _Node:
        nodes = [below()]
        while self._take(sign):
            nodes.append(below())
        if len(nodes) == 1:
            return nodes[0]
        if any(node.kind is not bool for node in nodes):
            raise _refused(f"{sign} stands beside something that is neither true nor false")
        return _Node(bool, lambda context: rule(node.value(context) for node in nodes))

    def _compared(self) -> _Node:
        left = self._negated()
        for sign, compare in _COMPARISONS.items():
            if self._take(sign):
                return _comparison(sign, compare, left, self._negated())
        return left

    def _negated(self) -> _Node:
        if not self._take("!"):
            return self._called()
        node = self._negated()
        if node.kind is not bool:
            raise _refused("! stands before something that is neither true nor false")
        return _Node(bool, lambda context: not node.value(context))

    def _called(self) -> _Node:
        node = self._operand()
        while self._take("."):
            node = self._method(node, self._name())
        return node

    def _method(self, node: _Node, method: str) -> _Node:
        if node.kind is not str or method not in ("startsWith", "endsWith"):
            raise _refused(f"unknown method {method!r}")
        (argument,) = self._arguments(method, 1)
        test = str.startswith if method == "startsWith" else str.endswith
        return _Node(bool, lambda context: test(node.value(context), argument))

    def _operand(self) -> _Node:
        if self._take("("):
            node = self.either()
            self._expect(")")
            return node
        kind, text = self._next()
        if kind == "string":
            literal = _unquoted(text)
            return _Node(str, lambda _: literal)
        if kind != "name":
            raise _refused(f"unexpected {text!r}")
        return self._named(text)

    def _named(self, name: str) -> _Node:
        if name in ("true", "false"):
            return _Node(bool, lambda _: name == "true")
        if name == "timestamp":
            moment = _timestamp(*self._arguments("timestamp", 1))
            return _Node(datetime, lambda _: moment)
        self._expect(".", f"unknown name {name!r}")
        path = f"{name}.{self._name()}"
        if path == "api.getAttribute":
            return self._attribute()
        if path not in ATTRIBUTES:
            raise _refused(f"unknown attribute {path!r}; known are {', '.join(ATTRIBUTES)} and api.getAttribute")
        return _Node(ATTRIBUTES[path], lambda context: context.attribute(path))

    def _attribute(self) -> _Node:
        name, default = self._arguments("api.getAttribute", 2)
        if name != LIST_PREFIX:
            raise _refused(f"unknown API attribute {name!r}; known is {LIST_PREFIX!r}")
        return _Node(str, lambda context: default if context.list_prefix is None else context.list_prefix)

    def _arguments(self, function: str, count: int) -> list[str]:
        self._expect("(", f"{function} is a function")
        found: list[str] = []
        for number in range(count):
            if number:
                self._expect(",", f"{function} takes {count} arguments")
            kind, text = self._next()
            if kind != "string":
                raise _refused(f"{function} takes string literals, not {text!r}")
            found.append(_unquoted(text))
        self._expect(")", f"{function} takes {count} arguments")
        return found

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise _refused(f"unexpected {self._tokens[self._at][1]!r}")

    def _name(self) -> str:
        kind, text = self._next()
        if kind != "name":
            raise _refused(f"unexpected {text!r}")
        return text

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _refused("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, sign: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at] == ("sign", sign)
        self._at += found
        return found

    def _expect(self, sign: str, why: str = "") -> None:
        if not self._take(sign):
            raise _refused(why or f"{sign!r} is missing")


def _comparison(sign: str, compare: Callable[[Any, Any], bool], left: _Node, right: _Node) -> _Node:
    if left.kind is not right.kind or (left.kind is bool and sign not in ("==", "!=")):
        raise _refused(f"{sign} compares {left.kind.__name__} with {right.kind.__name__}")
    return _Node(bool, lambda context: compare(left.value(context), right.value(context)))


def _unquoted(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal[1:-1])


def _timestamp(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _refused(f"{text!r} is no timestamp (RFC 3339)") from None
    if moment.tzinfo is None:
        raise _refused(f"timestamp {text!r} has no time zone")
    return moment.astimezone(UTC)
