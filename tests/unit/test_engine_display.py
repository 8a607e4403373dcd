"""What a run looks like: secrets masked in every form, unknowns named, colours on a terminal alone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.engine import options, run
from sandbox.engine.digest import Digest
from sandbox.engine.display import Display
from sandbox.engine.errors import DeploymentError
from sandbox.engine.run import Show
from sandbox.engine.stack import Stack
from sandbox.engine.state import Checkpoint, Operation
from sandbox.providers.base import ProviderError
from tests.unit.engine_kit import Bench

SECRETS = """
value = f"canary-{config.get('value')}"
bucket = Bucket("b", bucket="b", tags={"hidden": pulumi.Output.secret(value), "open": "x"})
UserPolicy("p", user="u", name="p", policy=pulumi.Output.secret('{"deep": "%s"}' % value))
pulumi.export("hidden", pulumi.Output.secret({"inner": value}))
pulumi.export("tags", bucket.tags)
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _digest(stack: Stack, stream: io.StringIO) -> Show:
    return Digest(stream, stack.config().shown())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.configure()
    bench.program(SECRETS)
    return bench


@pytest.mark.parametrize(
    "show",
    [
        lambda stack, stream: Display(stream, stack.name),
        lambda stack, stream: Display(stream, stack.name, diff=True),
        _digest,
    ],
    ids=["progress", "diff", "json"],
)
def test_secrets_are_masked_before_during_and_after(show: Callable[[Stack, io.StringIO], Show], bench: Bench) -> None:
    """Created, changed and deleted secrets, in inputs, JSON documents and outputs, are never shown."""
    shown = io.StringIO()
    for operation in (run.preview, run.update):
        stack = bench.open()
        operation(stack, show(stack, shown))
    bench.configure(value="two")
    for operation in (run.preview, run.update, run.preview_refresh, run.preview_destroy, run.destroy):
        stack = bench.open()
        operation(stack, show(stack, shown))
    assert "canary" not in shown.getvalue()
    assert "[secret]" in shown.getvalue()


def test_value_that_became_secret_is_masked(bench: Bench) -> None:
    """The old, open value is shown no more once the new one is secret."""
    bench.program('Bucket("b", bucket="b", tags={"x": "canary-old"})\npulumi.export("o", "canary-old")\n')
    bench.up()
    bench.program("""
        secret = pulumi.Output.secret("canary-new")
        Bucket("b", bucket="b", tags={"x": secret})
        pulumi.export("o", secret)
    """)
    shown = io.StringIO()
    for show in (Display(shown, "dev", diff=True), Display(shown, "dev"), Digest(shown, {})):
        run.preview(bench.open(), show)
    assert "canary" not in shown.getvalue()


def test_unknown_values_are_named(bench: Bench) -> None:
    """In a preview, what only the creation tells."""
    bench.program("""
        user = User("u", name="u")
        Bucket("b", bucket=user.id)
        pulumi.export("id", user.id)
    """)
    shown = io.StringIO()
    run.preview(bench.open(), Display(shown, "dev", diff=True))
    assert "bucket: [unknown]" in shown.getvalue()
    assert "id: [unknown]" in shown.getvalue()


def test_colours_on_a_terminal_alone(bench: Bench) -> None:
    """No escape sequence reaches a file or a pipe."""
    plain, terminal = io.StringIO(), Terminal()
    run.preview(bench.open(), Display(plain, "dev"))
    run.preview(bench.open(), Display(terminal, "dev"))
    assert "\x1b" not in plain.getvalue()
    assert "\x1b[32m" in terminal.getvalue()


def test_lists_and_documents_are_compared_by_part(bench: Bench) -> None:
    """Only what differs is shown, inside lists and inside JSON documents too."""
    bench.program("""
        import json
        step = config.get_int("step") or 1
        policy = {"Statement": [{"Action": ["a", "b"][:step]}], "Id": "x"}
        UserPolicy("p", user="u", name="p", policy=json.dumps(policy))
    """)
    bench.up()
    bench.configure(step=2)
    shown = io.StringIO()
    run.preview(bench.open(), Display(shown, "dev", diff=True))
    assert '+ [1]: "b"' in shown.getvalue()
    assert "Id" not in shown.getvalue()


def test_program_that_fails_is_told_in_the_object(bench: Bench) -> None:
    """As `pulumi preview --json` does: a report that reads the object alone must not take it for a good one."""
    bench.program('raise pulumi.RunError("bad configuration")\n')
    stream = io.StringIO()
    show = Digest(stream, {})
    with pytest.raises(DeploymentError):
        options.run(show, lambda: run.preview(bench.open(), show))
    assert json.loads(stream.getvalue())["diagnostics"] == [
        {"message": "error: bad configuration\n", "severity": "error"}
    ]


def test_failure_is_told_with_its_resource(bench: Bench) -> None:
    """In the progress, and by URN in the object of --json, which is whole although the run failed."""

    def refuse(verb: str, type_: str, id_: str) -> None:
        raise ProviderError("AccessDenied")

    bench.cloud.fail = refuse
    progress, stream = io.StringIO(), io.StringIO()
    for show in (Display(progress, "dev"), Digest(stream, {})):
        with pytest.raises(DeploymentError):
            run.update(bench.open(), show)
        show.diagnostics()
    assert "**creating failed**" in progress.getvalue()
    assert "error: AccessDenied" in progress.getvalue()
    messages = json.loads(stream.getvalue())["diagnostics"]
    assert ("error", "AccessDenied") in [(item["severity"], item["message"]) for item in messages]
    assert all("::" in item["urn"] for item in messages)


def test_preview_warns_of_an_interrupted_run(bench: Bench) -> None:
    """And leaves it to the next update to look into it."""
    bench.up()
    stack = bench.open()
    state = stack.checkpoint
    stack.save(Checkpoint(state.stack, state.resources, [Operation(state.resources[-1], "updating")]))
    assert "1 operation(s) open" in bench.preview().messages[0]
    assert len(bench.state().pending) == 1
