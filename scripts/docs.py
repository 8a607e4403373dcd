"""Write the parts of the documentation that code already knows, or with --check fail where they have drifted.

Example: python -m scripts.docs --check

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; everything else is left alone. Tables
of configuration come from Pulumi.yaml, of outputs and policies from `recordings`, of commands from their help texts.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml
from typer.main import get_command

from policy.evaluation import RULES
from recordings import policies_github
from recordings.cli import app as recordings
from recordings.outputs import SecretMapping, StackOutputs, WriterAccess
from recordings.policies import bucket_policy, reader_policy, writer_policy
from recordings.policies_gcs import reader_bindings, writer_bindings
from scripts.command import alone
from scripts.preview.verdict import FLAGS

ROOT: Final = Path(__file__).resolve().parents[1]
FILES: Final = (
    "docs/environments.md",
    "docs/commands.md",
    "docs/configuration.md",
    "docs/policy.md",
    "docs/security.md",
)
SCRIPTS: Final = ("post_deploy", "preview_diff", "nightly", "sweep", "teardown", "pr_stack", "github", "docs")
"""In the order of the table."""
_BLOCK: Final = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_SHARED: Final = (("--stack", "--outputs", "--home"), ("--dry-run",), ("--json",))
_PLACE: Final = ("my-bucket", "eu-west-1", "recordings/")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; `|` inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def configuration() -> str:
    """Every key of the `recordings:` namespace."""
    schema: Mapping[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    rows = [
        [f"`{key}`", entry["type"], f"`{json.dumps(entry.get('default'))}`", entry["description"]]
        for key, entry in schema.items()
    ]
    return table(["key", "type", "default", "meaning"], rows)


def outputs() -> str:
    """Every stack output, and whether it is a secret."""
    rows = []
    for field in StackOutputs.model_fields.values():
        secret = "SecretStr" in str(field.annotation) or field.annotation == SecretMapping
        rows.append([f"`{field.alias}`", "secret" if secret else "", field.description or ""])
    return table(["output", "", "value"], rows)


def commands() -> str:
    """Every subcommand of `recordings` with the first line of its help, and which of the common options it takes."""
    group: Any = get_command(recordings)
    return _commands({f"recordings {name}": command for name, command in group.commands.items()})


def scripts() -> str:
    """The same of every script; of those with several commands, of each."""
    found: dict[str, Any] = {}
    for name in SCRIPTS:
        module = import_module(f"scripts.{name}") if name != "docs" else sys.modules[__name__]
        command: Any = get_command(module.app)
        inner = getattr(command, "commands", {"": command})
        found |= {f"python -m scripts.{name} {each}".rstrip(): one for each, one in inner.items()}
    return _commands(found)


def _commands(named: Mapping[str, Any]) -> str:
    rows = []
    for name, command in named.items():
        taken = {option for parameter in command.params for option in parameter.opts}
        shared = [", ".join(f"`{option}`" for option in options if option in taken) for options in _SHARED]
        rows.append([f"`{name}`", (command.help or "").strip().splitlines()[0], *shared])
    return table(["command", "what it does", "stack", "", ""], rows)


def policies() -> str:
    """The policies of a stack in eu-west-1 with the bucket `my-bucket` and the prefix `recordings/`."""
    named = {f"Writer, `writerAccess: {access}`": writer_policy(*_PLACE, access) for access in WriterAccess}
    named |= {"Reader": reader_policy(*_PLACE), "Bucket": bucket_policy(*_PLACE[:2])}
    return _as_json(named)


def bindings() -> str:
    """The same on Google: roles on the bucket, each under a condition."""
    named = {
        f"Writer, `writerAccess: {access}`": writer_bindings(_PLACE[0], _PLACE[2], access) for access in WriterAccess
    }
    named["Reader"] = reader_bindings(_PLACE[0], _PLACE[2])
    return _as_json(named)


def roles() -> str:
    """The roles that workflows assume on AWS: an environment in account 123456789012, eu-west-1."""
    bucket, account = "acme-100ms-recordings-prod", "123456789012"
    home, passing = "acme-100ms-recordings-dev", "acme-100ms-recordings-dev-pr-*"
    named = {
        "Trust, of the role for the GitHub environment `prod`": policies_github.trust(
            account, "acme-123456/recordings-456789", "prod"
        ),
        "Permissions `preview`: environments `preview-*`": policies_github.preview(bucket, _PLACE[1], account),
        "Permissions `deploy`: environments `dev`, `staging`, `prod`, `nightly-*`": policies_github.deploy(
            bucket, _PLACE[1], account
        ),
        "Permissions `operate`: the same environments": policies_github.operate(bucket, _PLACE[1]),
        f"Permissions `leases`: environment `test-stacks`, beside `deploy` and `operate` on `{passing}`": (
            policies_github.leases(home, _PLACE[1])
        ),
        "Permissions `state`, only where the state lies in a bucket (a preview without Put and Delete)": (
            policies_github.state("acme-pulumi-state", _PLACE[1], writes=True)
        ),
    }
    return _as_json(named)


def google_roles() -> str:
    """The same on Google: trust of the pool, and the roles on the project."""
    trust = policies_github.google_trust("123456789012", "github", "456789", "prod")
    rows = [
        ["`preview-*`", ", ".join(f"`{role}`" for role in policies_github.GOOGLE_PREVIEW)],
        ["all others", ", ".join(f"`{role}`" for role in policies_github.GOOGLE_DEPLOY)],
    ]
    return f"{_as_json({'Trust, of the service account for `prod`': trust})}\n{table(['environment', 'roles'], rows)}"


def rules() -> str:
    """Every guard rule."""
    rows = [
        [
            f"`{rule.id}`",
            rule.severity.value,
            rule.applies.__name__.replace("_", " "),
            rule.reason,
            rule.remedy,
            rule.standards,
        ]
        for rule in RULES
    ]
    return table(["rule", "", "where", "why", "remedy", "stands for"], rows)


def flags() -> str:
    """Every flag of `scripts.preview_diff --fail-on`."""
    return table(["flag", "is up when"], [[f"`{flag.value}`", meaning] for flag, meaning in FLAGS.items()])


def _as_json(named: Mapping[str, object]) -> str:
    return "\n".join(f"{title}:\n\n```json\n{json.dumps(value, indent=2)}\n```\n" for title, value in named.items())


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "configuration": configuration,
    "outputs": outputs,
    "commands": commands,
    "scripts": scripts,
    "policies": policies,
    "bindings": bindings,
    "rules": rules,
    "flags": flags,
    "roles": roles,
    "google-roles": google_roles,
}


def renew(text: str) -> str:
    """Give `text` with every generated part as it should be now. Raises KeyError for a part of unknown name."""
    return _BLOCK.sub(lambda block: f"{block[1]}{PARTS[block['name']]()}\n{block[3]}", text)


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; end with 1 where something drifted.")] = False,
) -> None:
    """Renew the generated parts of the documentation."""
    drifted = []
    for name in FILES:
        file = ROOT / name
        before = file.read_text()
        after = renew(before)
        if after != before:
            drifted.append(name)
            if not check:
                file.write_text(after)
    if check and drifted:
        sys.exit(f"drifted: {', '.join(drifted)}; run `make docs`")
    print(f"renewed: {', '.join(drifted) or 'nothing to do'}", file=sys.stderr)


app = alone(main, __doc__)

if __name__ == "__main__":
    app()
