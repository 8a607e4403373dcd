"""A stack for one pull request: `pr-NUMBER`, with a bucket of its own, a leased template and an end.

Example: python -m scripts.pr_stack make --number 7 --home dev --pool 64f0c0ffee0123456789abcd

Then: pulumi up --stack pr-7

At its end: python -m scripts.pr_stack down --number 7 --home dev

`make` leases a template of the pool, writes Pulumi.pr-7.yaml after that of the stack `--like` and makes the empty
stack; run again it does what is left and moves the end. `down` is `scripts.teardown`, then gives the template back. The
leases are kept in the bucket of the stack `--home`, which stays. In a job of GitHub Actions the number is that of the
pull request, and `make` sets the outputs stack, template, room and expires.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from recordings.cli.frame import DryRunOption, Frame, JsonOption, load_outputs, pulumi, run
from recordings.cli.help import Command
from recordings.cli.place import open_place
from recordings.cli.text import escape
from recordings.durations import parse_duration
from recordings.errors import ConfigurationError, UsageError
from recordings.hms import HmsClient
from recordings.leases import Lease, Leases
from recordings.outputs import StackOutputs
from recordings.passing_stacks import configuration
from recordings.plans import Plan, Step
from recordings.registration import template_ids
from recordings.stacks import Stacks
from recordings.teardown import Wish, check_named, look
from recordings.teardown_waiting import Waiting
from scripts.command import group
from scripts.github import pull_request, write_outputs, write_summary
from scripts.teardown import StopOption, WaitOption, show, take_down

app = group(__doc__)

HomeOption = Annotated[
    str, typer.Option(metavar="NAME", help="The stack that stays, in whose bucket the leases are kept.")
]
NumberOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Of the pull request; else that of the one that started the job.")
]
_SEPARATORS = re.compile(r"[\s,]+")


@dataclass
class Making:
    """What `make` is about; `lease` and `room` are known once it has run."""

    name: str
    like: str
    pool: Sequence[str]
    expires: datetime
    secrets_provider: str | None
    leases: Leases
    hms: HmsClient
    stacks: Stacks
    lease: Lease | None = None

    def plan(self) -> Plan:
        """The steps; those that are done already are left out, but for the lease and the file, whose end moves."""
        steps = [
            Step(f"lease a template for {self.name}", self._lease, [f"pool: {', '.join(self.pool)}"]),
            Step(f"write Pulumi.{self.name}.yaml after Pulumi.{self.like}.yaml", self._write),
        ]
        there = self.stacks.find(self.name)
        if there is None:
            run_ = partial(self.stacks.initialise, self.name, self.secrets_provider)
            steps.append(Step(f"make the empty stack {self.name}", run_))
        elif there.resources != 0:
            reasons = self.stacks.character(self.name, self.stacks.outputs(self.name)).kept_because
            if reasons and self.leases.of(self.name) is None:
                why = "; ".join(reasons)
                raise UsageError(
                    f"stack {self.name!r} is there already and is no test stack: {why}. Nothing was changed"
                )
        self._configuration("0" * 24)  # what is wrong with it is told before anything is leased
        return Plan((*steps, Step("note how its configuration is encrypted", self._note)))

    def room(self) -> str:
        """A room that records as the leased template says; empty if it has none."""
        assert self.lease is not None
        rooms = self.hms.rooms(template_id=self.lease.template)
        return next((room.id for room in rooms if room.enabled and room.recording_source_template is not False), "")

    def _lease(self) -> None:
        self.lease = self.leases.take(self.pool, self.name, datetime.now(UTC), self.expires)

    def _write(self) -> None:
        assert self.lease is not None
        file = Path(f"Pulumi.{self.name}.yaml")
        former = _read(file) if file.exists() else {}
        content = {**self.lease.encryption, **former, "config": self._configuration(self.lease.template)}
        file.write_text(yaml.safe_dump(content, sort_keys=True), encoding="utf-8")

    def _note(self) -> None:
        content = _read(Path(f"Pulumi.{self.name}.yaml"))
        self.leases.note(self.name, {key: str(value) for key, value in content.items() if key != "config"})

    def _configuration(self, template: str) -> dict[str, Any]:
        like = _read(Path(f"Pulumi.{self.like}.yaml")).get("config") or {}
        return configuration(like, self.name, template, self.expires)


@app.command("make", cls=Command)
def make(
    home: HomeOption,
    pool: Annotated[
        str, typer.Option(metavar="IDS", envvar="TEST_TEMPLATES", help="Template ids, apart by space or comma.")
    ],
    number: NumberOption = None,
    like: Annotated[
        str, typer.Option(metavar="NAME", help="The stack whose configuration it gets, as far as it fits.")
    ] = "dev",
    expires_in: Annotated[
        str, typer.Option(metavar="T", envvar="TEST_STACK_LIFE", help="After how long it may be swept.")
    ] = "3d",
    secrets_provider: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="PULUMI_SECRETS_PROVIDER", help="As `pulumi stack init` takes it, such as awskms://…"
        ),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Lease a template, configure the stack and make it; `pulumi up` comes next."""

    def action() -> None:
        frame, name = Frame(as_json), stack_name(number)
        outputs = load_outputs(home, None)
        ids = _pool(pool, outputs, home)
        expires = datetime.now(UTC).replace(microsecond=0) + parse_duration(expires_in)
        with open_place(outputs, frame) as place:
            leases, stacks = Leases(place.memory), Stacks(pulumi)
            making = Making(name, like, ids, expires, secrets_provider, leases, place.client, stacks)
            steps = frame.run_plan(making.plan(), dry_run=dry_run)
            if dry_run:
                frame.result({"stack": name, "steps": steps, "dryRun": True}, lambda _: None)
            else:
                _tell(frame, making, steps)

    run(action, as_json=as_json)


@app.command("down", cls=Command)
def down(
    home: HomeOption,
    number: NumberOption = None,
    stop_recordings: StopOption = False,
    wait: WaitOption = "0s",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take the stack down and give its template back."""

    def action() -> None:
        frame, name = Frame(as_json), stack_name(number)
        waiting = Waiting(parse_duration(wait))
        with open_place(load_outputs(home, None), frame) as place:
            leases = Leases(place.memory)
            lease = leases.of(name)
            target = look(Stacks(pulumi), name, known_test=lease is not None)
            if target is not None:
                check_named(target, None)
            steps = take_down(frame, target, Wish(stop_recordings), waiting, dry_run=dry_run)
            if lease is not None:
                giving_back = Plan((Step(f"give template {lease.template} back", partial(_release, leases, name)),))
                steps += frame.run_plan(giving_back, dry_run=dry_run)
        show(frame, name, target, steps, dry_run=dry_run)

    run(action, as_json=as_json)


def stack_name(number: int | None) -> str:
    """`pr-7`. Raises ConfigurationError where no pull request gives the number."""
    return f"pr-{number if number is not None else pull_request()}"


def _pool(text: str, home: StackOutputs, name: str) -> tuple[str, ...]:
    """The template ids. Raises UsageError for a bad one, and for one that the stack that stays uses itself."""
    ids = [each for each in _SEPARATORS.split(text) if each]
    if used := [id_ for id_ in ids if id_ in home.template_ids]:
        raise UsageError(f"{', '.join(used)} is a template of stack {name!r} itself: the pool is for test stacks alone")
    return template_ids(ids, home) if ids else ()


def _release(leases: Leases, name: str) -> None:
    leases.release(name)


def _tell(frame: Frame, making: Making, steps: Sequence[str]) -> None:
    assert making.lease is not None
    expires = f"{making.expires:%Y-%m-%dT%H:%M:%SZ}"
    told = {"stack": making.name, "template": making.lease.template, "room": making.room(), "expires": expires}
    write_outputs(**told)
    line = f"stack {making.name} with template {making.lease.template} until {expires}"
    write_summary(f"Test {line}\n")
    frame.result({**told, "steps": steps, "dryRun": False}, lambda out: out.print(escape(line)))


def _read(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{file} is not here: run this in the project's folder, or name another --like"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise ConfigurationError(f"{file} cannot be read as YAML") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file} is no mapping with a `config`, as Pulumi writes it")
    return found


if __name__ == "__main__":
    app()
