"""`recordings adopt`: parse and print; `recordings.adoption` judges what is there and what `up` would do to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from recordings.adoption.findings import Finding, Proposal
from recordings.adoption.planned import Planned
from recordings.adoption.stack_file import StackFile
from recordings.cli.frame import DryRunOption, Frame, JsonOption, pulumi, run
from recordings.cli.text import escape
from recordings.errors import CheckFailedError, ConfigurationError
from recordings.plans import Plan, Step

if TYPE_CHECKING:
    from recordings.adoption.proposing import Wish


def command(
    stack: Annotated[
        str,
        typer.Option("--stack", "-s", metavar="NAME", help="Stack that shall own the bucket; `pulumi stack init` it."),
    ],
    bucket: Annotated[str, typer.Option(metavar="BUCKET", help="Existing bucket to take over.")],
    user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Existing IAM user or service account of 100ms. Default: make one."),
    ] = None,
    user_policy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="AWS: its inline policy to take over. Default: the only one, or make one."),
    ] = None,
    reader_user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Existing IAM user or service account to sign downloads with. Default: make one."
        ),
    ] = None,
    reader_policy: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="AWS: its inline policy to take over. Default: the only one, or make one."),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(metavar="PREFIX", help="Where recordings lie in it, ending in '/'. Default: as configured."),
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Go on in spite of this finding; repeat it for several.")
    ] = None,
    cwd: Annotated[Path, typer.Option("--cwd", "-C", metavar="DIR", help="The Pulumi project's folder.")] = Path(),
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the configuration with which `up` takes over an existing bucket and users, deleting nothing.

    Looks at what is there, as the operator, in the cloud that the stack's file says (recordings:provider); lists what
    would be lost, and stops unless each is accepted by name; writes Pulumi.STACK.yaml, and puts it back if the preview
    would delete or replace anything. Changes nothing in the cloud.

    Example: recordings adopt --stack prod --bucket acme-recordings --user 100ms-recording-user --dry-run
    """

    def action() -> None:
        from recordings.adoption.proposing import Wish

        wish = Wish(stack, bucket, user, user_policy, reader_user, reader_policy, prefix)
        perform(Frame(as_json), wish, cwd, accept or (), dry_run=dry_run)

    run(action, as_json=as_json)


def perform(frame: Frame, wish: Wish, cwd: Path, accept: Sequence[str], *, dry_run: bool) -> None:
    """Propose, write and preview; ends the process with 1 where something is found and not accepted."""
    from recordings.adoption.proposing import propose

    owned = _deployed_bucket(wish.stack, cwd)
    if owned not in (None, wish.bucket):
        raise CheckFailedError(
            f"stack {wish.stack} owns bucket {owned}, and one stack has one bucket: adopt with a new stack, and "
            f"list {owned} as one of its recordings:formerBuckets if it holds recordings"
        )
    if owned == wish.bucket:
        frame.tell(f"stack {wish.stack} owns bucket {wish.bucket} already: nothing to do")
        frame.result({"owned": True, "bucket": wish.bucket, "dryRun": dry_run}, lambda _: None)
        return
    file = StackFile.open(cwd / f"Pulumi.{wish.stack_name}.yaml")
    proposal = propose(wish, file)
    for note in proposal.notes:
        frame.tell(f"note: {note}")
    in_the_way = proposal.open(accept)
    for finding in proposal.findings:
        _show_finding(frame, finding, stops=finding in in_the_way)
    planned: list[Planned] = []
    plan = _plan(wish.stack, cwd, file, proposal, planned)
    steps = frame.run_plan(plan, dry_run=dry_run) if dry_run or not in_the_way else []
    result = {
        "owned": False,
        "bucket": wish.bucket,
        "configuration": proposal.values,
        "findings": [{"name": each.name, "text": each.text, "stops": each in in_the_way} for each in proposal.findings],
        "notes": proposal.notes,
        "steps": steps,
        "planned": [vars(step) for found in planned for step in found.steps],
        "dryRun": dry_run,
    }
    frame.result(result, lambda out: _show(out, planned))
    if in_the_way:
        raise SystemExit(CheckFailedError.exit_code)


def _plan(stack: str, cwd: Path, file: StackFile, proposal: Proposal, planned: list[Planned]) -> Plan:
    """Write and preview, as one step: the file stays as it was unless `planned` then holds a good preview."""

    def write() -> None:
        file.write(proposal.values)
        try:
            planned.append(_preview(stack, cwd))
        except BaseException:
            file.restore()
            raise

    lines = [f"{key}: {json.dumps(value)}" for key, value in proposal.values.items()]
    title = f"write {file.path}, and put it back if the preview deletes or replaces anything"
    return Plan([Step(title, write, lines)])


def _preview(stack: str, cwd: Path) -> Planned:
    done = pulumi("preview", "--json", "--non-interactive", "--stack", stack, "--cwd", str(cwd), quiet=True)
    failed = done.returncode != 0
    if failed and not done.stdout.strip():
        raise ConfigurationError(f"the preview failed, and the file was put back:\n{done.stderr.strip()}")
    found = Planned.from_json(done.stdout)
    if failed:
        reasons = "\n".join(found.errors) or done.stderr.strip()
        raise ConfigurationError(f"the preview failed, and the file was put back:\n{reasons}")
    if harmful := found.harmful():
        listed = "\n".join(f"  {step}" for step in harmful)
        raise CheckFailedError(f"`up` would delete or replace; the file was put back:\n{listed}")
    return found


def _deployed_bucket(stack: str, cwd: Path) -> Any:
    """The bucket that the stack has; None where it has none, or is not there yet (the preview then says so)."""
    done = pulumi("stack", "output", "--json", "--stack", stack, "--cwd", str(cwd), quiet=True)
    try:
        return json.loads(done.stdout).get("bucketName") if done.returncode == 0 else None
    except (ValueError, AttributeError):
        return None


def _show_finding(frame: Frame, finding: Finding, *, stops: bool) -> None:
    way = f"--accept {finding.name}" if finding.acceptable else "cannot be accepted"
    frame.tell(f"{'stops' if stops else 'accepted'}: {finding.text} [{way}]", style="red" if stops else "yellow")


def _show(out: Console, planned: Sequence[Planned]) -> None:
    for step in (step for found in planned for step in found.steps):
        out.print(escape(str(step)))
    if planned:
        out.print("nothing is deleted or replaced; `pulumi up` takes over")
