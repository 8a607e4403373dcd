"""Nothing asks which provider a stack is on: what differs lies in a table, or behind a protocol."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("components", "recordings", "scripts")
NAMES: Final = frozenset({"s3", "gcs", "gs"})


def questions(source: str) -> Iterator[int]:
    """Lines with a comparison, or a pattern, of which one side names a provider."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        else:
            continue
        if any(_names_provider(part) for side in sides for part in ast.walk(side)):
            yield node.lineno


def _names_provider(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id == "StorageProvider"
    return isinstance(node, ast.Constant) and node.value in NAMES


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_asks_which_provider_it_is(folder: str) -> None:
    """Another provider is one more entry in each table, not another branch."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        place = path.relative_to(ROOT)
        found += [f"{place}:{line}" for line in questions(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "x is StorageProvider.GCS",
        "if outputs.storage_provider == 's3': pass",
        "x in (StorageProvider.S3,)",
        "match x:\n    case 'gs': pass",
    ],
)
def test_question_is_recognised(source: str) -> None:
    """By name or by value, in each form that asks."""
    assert list(questions(source))
