"""What goes wrong in the middle of a run: what was done is in the state, and the next run goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sandbox.engine import run
from sandbox.engine.errors import CancelledError, DeploymentError, LockedError, UsageError
from sandbox.engine.lock import hold
from sandbox.engine.state import Checkpoint, Operation, Resource, now
from sandbox.engine.watch import UncertainError, Watched
from sandbox.providers.base import ProviderError, ResourceState
from tests.unit.engine_kit import Bench, Seen, assert_same_as_cloud, assert_sound
from tests.unit.memory_cloud import MemoryProvider

TWO = """
user = User("u", name="u")
UserPolicy("p", user=user.name, name="p", policy="{}")
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.configure()
    bench.program(TWO)
    return bench


def _refuse(verb: str, part: str, error: Exception) -> Any:
    def fail(called: str, type_: str, id_: str) -> None:
        if called == verb and part in type_:
            raise error

    return fail


def test_failed_create_keeps_what_was_done(bench: Bench) -> None:
    """The user is in the state, the policy is not; nothing is pending; the next run makes the rest."""
    bench.cloud.fail = _refuse("create", "UserPolicy", ProviderError("AccessDenied: no"))
    with pytest.raises(DeploymentError, match="'p': AccessDenied: no"):
        bench.up()
    assert {item.name for item in bench.state().resources if item.custom and not item.is_provider} == {"u"}
    assert_sound(bench.state())
    bench.cloud.fail = _refuse("create", "nothing", ProviderError(""))
    assert bench.up().done == [("create", "p")]


def test_failed_program_deletes_nothing(bench: Bench) -> None:
    """A program that breaks half way has not asked for the rest to go."""
    bench.up()
    bench.program("raise ValueError('half way')\n")
    with pytest.raises(DeploymentError, match="ValueError: half way") as caught:
        bench.up()
    assert "sandbox/engine" not in str(caught.value)
    assert bench.cloud.ids("aws:iam/user:User") == ["u"]


@pytest.mark.parametrize("fault", ["raise pulumi.RunError('no')", "UserPolicy('p', user='u', name='p', policy='[')"])
def test_failed_run_keeps_the_outputs_it_did_not_come_to(bench: Bench, fault: str) -> None:
    """A back end that reads the outputs finds them after a failed `up` too; the next good one drops what is gone."""
    bench.program("pulumi.export('a', 1)\npulumi.export('b', 1)\n")
    bench.up()
    bench.program(f"pulumi.export('a', 2)\n{fault}\n")
    bench.cloud.fail = _refuse("create", "UserPolicy", ProviderError("Malformed"))
    with pytest.raises(DeploymentError):
        bench.up()
    assert bench.state().outputs().keys() == {"a", "b"}
    bench.program("pulumi.export('a', 3)\n")
    bench.up()
    assert bench.state().outputs() == {"a": 3}


def test_failed_update_is_tried_again(bench: Bench) -> None:
    """The state keeps the old inputs, so that the next preview shows the change again."""
    bench.up()
    bench.program(TWO.replace('"{}"', '"{ }"'))
    bench.cloud.fail = _refuse("update", "", ProviderError("Throttled"))
    with pytest.raises(DeploymentError, match="Throttled"):
        bench.up()
    assert bench.preview().done == [("update", "p")]


def test_failed_delete_keeps_the_resource(bench: Bench) -> None:
    """What could not be deleted, and what it depends on, stays."""
    bench.up()
    bench.cloud.fail = _refuse("delete", "UserPolicy", ProviderError("DeleteConflict"))
    with pytest.raises(DeploymentError, match="DeleteConflict"):
        bench.destroy()
    assert_same_as_cloud(bench.state(), bench.cloud)
    assert len(bench.cloud.things) == 2


def test_partly_made_resource_is_kept_and_finished(bench: Bench) -> None:
    """A resource that exists although its creation failed is in the state with the reason, and updated next."""
    bench.program('Bucket("b", bucket="b")\n')

    def half(verb: str, type_: str, id_: str) -> None:
        if verb == "create":
            bench.cloud.things[type_, id_] = {"bucket": "b"}
            raise ProviderError("tags refused", partial=ResourceState("b", {"bucket": "b"}, {"bucket": "b"}))

    bench.cloud.fail = half
    with pytest.raises(DeploymentError, match="tags refused"):
        bench.up()
    assert bench.resource("b").init_errors == ["tags refused"]
    assert bench.up().done == [("update", "b")]
    assert bench.resource("b").init_errors == []


def test_check_failure_names_resource_and_property(bench: Bench) -> None:
    """Nothing is created when an input is refused."""
    bench.program('Bucket("b", bucket="b", tags={"forbidden": "x"})\n')
    seen = Seen()
    with pytest.raises(DeploymentError, match="is invalid"):
        run.preview(bench.open(), seen)
    assert seen.messages == ["aws:s3/bucket:Bucket resource 'b': property forbidden: is not allowed"]


def test_provider_that_breaks_down_leaves_its_operation_pending(bench: Bench) -> None:
    """An error of the provider's own says nothing about the cloud: the next run finds out."""
    bench.program('Bucket("b", bucket="b")\n')
    real = bench.cloud.changed

    def dying() -> None:
        raise RuntimeError("lost the connection")

    bench.cloud.changed = dying  # type: ignore[method-assign]
    with pytest.raises(DeploymentError, match="broke down in create: RuntimeError: lost the connection"):
        bench.up()
    assert [item.kind for item in bench.state().pending] == ["creating"]
    bench.cloud.changed = real  # type: ignore[method-assign]
    assert bench.up().done == []
    assert_same_as_cloud(bench.state(), bench.cloud)
    assert_sound(bench.state())


def test_breakdown_in_delete_leaves_it_pending(bench: Bench) -> None:
    """Whether it is gone is not known: the resource stays in the state until the next run has looked."""
    bench.up()
    bench.cloud.fail = _refuse("delete", "UserPolicy", RuntimeError("lost the connection"))
    with pytest.raises(DeploymentError, match="broke down in delete"):
        bench.destroy()
    assert [item.kind for item in bench.state().pending] == ["deleting"]
    bench.cloud.fail = _refuse("delete", "nothing", RuntimeError())
    bench.destroy()
    assert bench.state().resources == []
    assert bench.cloud.things == {}


def test_hanging_provider_ends_in_a_clear_error(bench: Bench) -> None:
    """A call that does not come back is given up and said to be so."""
    hanging = threading.Event()
    provider = MemoryProvider(bench.cloud)

    def hang(verb: str, type_: str, id_: str) -> None:
        hanging.wait(30)

    bench.cloud.fail = hang
    with pytest.raises(UncertainError, match=r"has not answered create for 0.05 seconds"):
        Watched(provider, patience=0.05).create("aws:s3/bucket:Bucket", {"bucket": "b"}, preview=False)
    hanging.set()


def test_create_whose_answer_was_lost_is_found_out(bench: Bench) -> None:
    """It stays pending and is taken over by the next run: the name is not taken for ever."""
    bench.program('User("u", name="u")\n')
    plain = MemoryProvider.create

    def lost(provider: MemoryProvider, *arguments: Any, **options: Any) -> Any:
        made = plain(provider, *arguments, **options)
        if not options["preview"]:
            raise ProviderError("no usable answer", uncertain=True)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryProvider, "create", lost)
        with pytest.raises(DeploymentError, match="no usable answer"):
            bench.up()
    assert [item.kind for item in bench.state().pending] == ["creating"]
    bench.up()
    assert_sound(bench.state())
    assert_same_as_cloud(bench.state(), bench.cloud)


def test_pending_operations_are_resolved_against_the_cloud(bench: Bench) -> None:
    """Updated: read; deleted and gone: dropped; created: adopted."""
    bench.up()
    state = bench.state()
    user, policy = (next(item for item in state.resources if item.name == name) for name in ("u", "p"))
    bench.cloud.things.pop((policy.type, policy.id))
    bench.cloud.things[user.type, "u"]["path"] = "/changed/"
    bench.cloud.things["aws:s3/bucket:Bucket", "lost"] = {"bucket": "lost"}
    lost = Resource(
        user.urn.replace("aws:iam/user:User::u", "aws:s3/bucket:Bucket::lost"),
        "aws:s3/bucket:Bucket",
        custom=True,
        inputs={"bucket": "lost"},
        provider=user.provider,
    )
    pending = [Operation(policy, "deleting"), Operation(user, "updating"), Operation(lost, "creating")]
    stack = bench.open()
    stack.save(Checkpoint(state.stack, state.resources, pending))
    bench.run(run.preview_destroy)
    after = bench.state()
    assert_sound(after)
    assert_same_as_cloud(after, bench.cloud)
    assert bench.resource("u").inputs["path"] == "/changed/"
    assert bench.resource("lost").id == "lost"


@pytest.mark.parametrize(("made", "taken"), [(-3600, False), (0, True)])
def test_what_was_there_before_a_killed_run_is_not_taken_over(bench: Bench, made: int, taken: bool) -> None:
    """A bucket of the declared name that is older than the run is somebody else's: it stays so."""
    bench.up()
    user = next(item for item in bench.state().resources if item.name == "u")
    urn = user.urn.replace("aws:iam/user:User::u", "aws:s3/bucket:Bucket::lost")
    lost = Resource(urn, "aws:s3/bucket:Bucket", custom=True, inputs={"bucket": "lost"}, provider=user.provider)
    lost.created = now()
    bench.cloud.things[lost.type, "lost"] = {"bucket": "lost"}
    bench.cloud.made[lost.type, "lost"] = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=made)
    stack = bench.open()
    stack.save(Checkpoint(stack.checkpoint.stack, stack.checkpoint.resources, [Operation(lost, "creating")]))
    seen = bench.run(run.preview_destroy)
    assert [item.name for item in bench.state().resources if item.type == lost.type] == (["lost"] if taken else [])
    assert bench.state().pending == []
    assert any("not taken over" in message for message in seen.messages) is not taken
    bench.destroy()
    assert bench.cloud.ids(lost.type) == ([] if taken else ["lost"])


def test_interrupt_stops_cleanly(bench: Bench) -> None:
    """Ctrl-C lets what runs finish, starts nothing more, and leaves nothing pending."""

    heard = threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        heard.set()
        signal.default_int_handler(number, frame)

    def interrupt(verb: str, type_: str, id_: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert heard.wait(30)

    bench.cloud.fail = interrupt
    before = signal.signal(signal.SIGINT, hear)
    try:
        with pytest.raises(CancelledError):
            bench.up()
    finally:
        signal.signal(signal.SIGINT, before)
    assert_sound(bench.state())
    assert_same_as_cloud(bench.state(), bench.cloud)
    assert len(bench.cloud.things) == 1


def test_second_run_is_locked_out(bench: Bench) -> None:
    """One run at a time; the message says who has the stack."""
    where = bench.place()
    with where.backend.lock("dev"), pytest.raises(LockedError, match=f"pid {os.getpid()}"), where.backend.lock("dev"):
        pass
    with where.backend.lock("dev"):
        pass


def test_lock_of_a_killed_run_that_nobody_waited_for_holds_nobody_up(tmp_path: Path) -> None:
    """Killed in the middle, a run is over although its process id is still listed, and may be for as long as it is."""
    code = "import sys,pathlib,time;from sandbox.engine.lock import hold\nwith hold(pathlib.Path(sys.argv[1])):\n"
    code += "  print('held', flush=True);time.sleep(60)"
    run_ = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "dev")], stdout=subprocess.PIPE)
    with run_:
        assert run_.stdout is not None
        run_.stdout.readline()
        with pytest.raises(LockedError, match=f"pid {run_.pid}"), hold(tmp_path / "dev"):
            pass
        run_.kill()
        os.waitid(os.P_PID, run_.pid, os.WEXITED | os.WNOWAIT)
        with hold(tmp_path / "dev"):
            pass


def test_lock_of_a_dead_process_holds_nobody_up(bench: Bench) -> None:
    """A lock file that a killed run left on this machine is cleared away; one of another machine is honoured."""
    import json
    import socket

    where = bench.place()
    folder = bench.folder / "state" / ".pulumi" / "locks" / "organization" / "golden" / "dev"
    folder.mkdir(parents=True)
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    content = {"pid": dead, "username": "u", "hostname": socket.gethostname(), "timestamp": "2026-01-01T00:00:00Z"}
    (folder / "a.json").write_text(json.dumps(content))
    with where.backend.lock("dev"):
        assert len(list(folder.glob("*.json"))) == 1
    (folder / "b.json").write_text(json.dumps({**content, "hostname": "elsewhere"}))
    with pytest.raises(LockedError, match="u@elsewhere"), where.backend.lock("dev"):
        pass


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "https://s3.amazonaws.com"),
        ("AWS_ENDPOINT_URL", ""),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1.example.com:1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1@example.com"),
        ("AWS_ENDPOINT_URL_S3", "http://10.0.0.1"),
        ("STORAGE_EMULATOR_HOST", "storage.googleapis.com"),
    ],
)
def test_endpoint_off_the_loopback_interface_is_refused(bench: Bench, name: str, value: str) -> None:
    """Before anything runs, and by every command that would reach out."""
    bench.program("raise SystemExit('it ran')\n")
    bench.environ = {**bench.environ, name: value}
    for operation in (run.preview, run.update, run.destroy, run.refresh):
        with pytest.raises(UsageError, match=name):
            bench.run(operation)


def test_program_output_is_shown_as_messages(bench: Bench) -> None:
    """What the program prints or logs does not mix with results."""
    bench.program("print('hello'); pulumi.log.warn('careful'); pulumi.log.debug('noise')\n")
    assert bench.preview().messages == ["hello", "careful"]


def test_program_runs_afresh_each_time(bench: Bench) -> None:
    """A preview and an update in one process see fresh modules and a fresh SDK."""
    (bench.folder / "helper.py").write_text("count = []\n")
    bench.program("import helper\nhelper.count.append(1)\npulumi.export('n', len(helper.count))\n")
    assert bench.preview().outputs == {"n": 1}
    assert bench.up().outputs == {"n": 1}
