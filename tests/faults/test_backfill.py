"""Backfill that is killed, cut or led astray: each recording once and whole in the bucket, or not there at all."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from recordings.backfill.mover import Result
from recordings.backfill.moves import Move
from recordings.errors import HmsError
from recordings.hosts import Hosts
from tests.faults.trials import Trials
from tests.unit.backfill_world import PART, Killed, World

_FAULTS = ("reset", "lost", "cut", "damage", "503", "refused")


def _filled(rng: random.Random) -> tuple[World, list[Move]]:
    world = World(tells_checksums=rng.random() < 0.5)
    lengths = [rng.randrange(6 * PART) for _ in range(rng.randrange(1, 5))]
    return world, [world.add(f"asset-{number}", rng.randbytes(length)) for number, length in enumerate(lengths)]


def _check(world: World, moves: list[Move], *, whole: bool) -> None:
    for move in moves:
        body = world.sources[move.asset.id][0]
        assert world.objects.get(move.key, None if whole else (body, move.asset.id)) == (body, move.asset.id)


def _by_chance(
    rng: random.Random, share: float, faults: Sequence[str] = _FAULTS, only: str = ""
) -> Callable[[str, int], str | None]:
    return lambda name, _: rng.choice(faults) if name.startswith(only) and rng.random() < share else None


def test_backfill_is_killed(trials: Trials) -> None:
    """SIGKILL at some request, up to four times: the run after the last one ends it."""
    for rng in trials.of("SIGKILL in backfill", 100):
        world, moves = _filled(rng)
        for _ in range(rng.randrange(1, 5)):
            end = len(world.seen) + rng.randrange(1, 40)

            def dead(_: str, seen: int, end: int = end) -> str | None:
                if seen >= end:
                    raise Killed
                return None

            world.fault = dead
            try:
                world.run(moves)
            except Killed:
                world.now += 3600
            _check(world, moves, whole=False)
        world.fault = lambda _name, _seen: None
        outcomes = world.run(moves)
        assert [outcome.error for outcome in outcomes if outcome.error] == []
        _check(world, moves, whole=True)
        assert world.memory_store.objects == {}


def test_uploads_are_left_in_parts(trials: Trials) -> None:
    """Requests fail at random, whole runs too: what is left half done is gone on with, never seen, never mixed up."""
    for rng in trials.of("partial multipart in backfill", 50):
        world, moves = _filled(rng)
        share = rng.random() * 0.5
        for _ in range(rng.randrange(1, 4)):
            world.fault = _by_chance(rng, share)
            world.run(moves)
            world.now += 3600
            _check(world, moves, whole=False)
        world.fault = lambda _name, _seen: None
        outcomes = world.run(moves)
        assert [outcome.error for outcome in outcomes if outcome.error] == []
        _check(world, moves, whole=True)


def test_presigned_urls_run_out(trials: Trials) -> None:
    """URLs that are refused before their time, at any range, are renewed; nobody asks for one for each range."""
    for rng in trials.of("presigned URL expires on the way", 30):
        world, moves = _filled(rng)
        world.fault = _by_chance(rng, 0.2, ["403"], only="get")
        outcomes = world.run(moves)
        failed = [outcome.move for outcome in outcomes if outcome.result is Result.FAILED]
        world.fault = lambda _name, _seen: None
        world.run(failed)
        _check(world, moves, whole=True)


def _inside(rng: random.Random) -> str:
    """A URL that leads to this machine, its network or the cloud's metadata, or that hides where it leads."""
    octets = [rng.randrange(256) for _ in range(4)]
    private = f"10.{octets[0]}.{octets[1]}.{octets[2]}"
    hosts = [
        f"169.254.{octets[0]}.{octets[1]}",
        f"127.{octets[0]}.{octets[1]}.{octets[2]}",
        private,
        f"192.168.{octets[0]}.{octets[1]}",
        f"[::ffff:{private}]",
        "[fd00:ec2::254]",
        str(rng.randrange(1 << 32)),
        hex(rng.randrange(1 << 32)),
        "localhost",
        "metadata.google.internal:8080",
        f"user:{octets[0]}@bucket.s3.amazonaws.com",
        "bucket.s3.amazonaws.com@evil.example",
        rng.choice(["\u0430mazonaws.com", "\uff533.amazonaws.com", "xn--mazonaws-66g.com"]),
    ]
    scheme = rng.choice(["https", "https", "http", "ftp", "file"])
    return f"{scheme}://{rng.choice(hosts)}/k?X-Amz-Signature=canary-{octets[3]}"


def test_presigned_hosts_point_inside(trials: Trials) -> None:
    """Refused by name, before anything is looked up or connected to, with no secret in the message."""
    for rng in trials.of("presigned host pointing inside", 60):
        with pytest.raises(HmsError) as caught:
            Hosts().check(_inside(rng))
        assert "canary" not in str(caught.value)
