"""SIGKILL in a rotation, again and again, at random: in the end one key, and nothing that 100ms recorded is harmed."""

from __future__ import annotations

from pathlib import Path

from tests.faults.trials import Trials
from tests.unit.rotation_world import World


def test_rotation_is_killed_again_and_again(trials: Trials, tmp_path: Path) -> None:
    """Killed at random, turned back at random, time passing at random: there is one key in the end, and it works."""
    for number, rng in enumerate(trials.of("SIGKILL in a rotation, at each step", 60)):
        folder = tmp_path / str(number)
        folder.mkdir()
        world = World(folder, rng.choice(["s3", "gcs"]))
        back = False
        for _ in range(rng.randrange(2, 6)):
            back = back or (world.under_way() and rng.random() < 0.15)
            world.killed(rng.randrange(12), back=back, advance=world.under_way() and not back, most=60)
        if world.under_way():
            world.go_on(back=back, most=60)
        world.assert_whole(world.outputs().registered_key)
