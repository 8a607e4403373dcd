"""A damaged or old state file: the next run refuses it or ends as declared, and takes nothing away."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sandbox.engine.errors import EngineError
from tests.faults.trials import Trials
from tests.unit.engine_kit import Bench, assert_same_as_cloud, assert_sound

FIRST = """
bucket = Bucket("b", bucket="acme-recordings")
user = User("writer", name="writer")
AccessKey("writer-blue", user=user.name)
"""
SECOND = FIRST + 'AccessKey("writer-green", user=user.name)\nUser("reader", name="reader")\n'


def damage(path: Path, former: bytes, rng: random.Random) -> None:
    """Cut the file, change some of its bits, or put back what it was a run ago."""
    content = bytearray(path.read_bytes())
    kind = rng.choice(["truncated", "bit-flipped", "stale"])
    if kind == "stale":
        path.write_bytes(former)
    elif kind == "truncated":
        path.write_bytes(content[: rng.randrange(len(content))])
    else:
        for _ in range(rng.choice([1, 1, 1, 5])):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)


def test_damaged_state_takes_nothing_away(trials: Trials, tmp_path: Path) -> None:
    """Refused with the file's name and the way out, while the cloud is not touched; put right, all goes on."""
    bench = Bench(tmp_path / "bench")
    bench.program(FIRST)
    bench.up()
    path = bench.place().backend.stack_path("dev")
    former = path.read_bytes()
    bench.program(SECOND)
    bench.up()
    good = path.read_bytes()
    for rng in trials.of("state truncated, bit-flipped, stale", 60):
        before, calls = dict(bench.cloud.things), len(bench.cloud.calls)
        damage(path, former, rng)
        operation = rng.choice([bench.up, bench.preview, bench.destroy])
        if path.read_bytes() != good:
            with pytest.raises(EngineError, match=r"(?s)dev\.json.*\.bak"):
                operation()
        assert bench.cloud.things == before
        assert len(bench.cloud.calls) == calls
        path.write_bytes(good)
        bench.up()
        assert_sound(bench.state())
        assert_same_as_cloud(bench.state(), bench.cloud)
        good = path.read_bytes()
