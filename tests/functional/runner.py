"""GitHub's runner for functional tests: the workflows' own jobs in a project's folder, `pulumi` the embedded engine."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from recordings.policies import Policy
from sandbox.servers import Sandbox
from tests.functional.clients import aws, control
from tests.functional.fake_github import REPOSITORY, TOKEN, GitHub
from tests.functional.project import Project
from tests.workflows import Actions, path_with, shim

ACCOUNT = "000000000000"
"""The sandbox's, at AWS."""
SECRETS = ("HMS_ACCESS_KEY", "HMS_APP_SECRET", "DATABASE_URL")
"""What GitHub keeps as secrets; a step has of it what it names."""


@contextmanager
def runner(project: Project, hub: GitHub, folder: Path, **variables: str) -> Iterator[Actions]:
    """Logged in to the clouds as the operator is; `variables` are those of the GitHub environment."""
    python = shim(project.folder / ".venv" / "bin" / "python", project.python)
    env = dict(project.env)
    given = {name: env.pop(name) for name in SECRETS}
    env.pop("PULUMI_COMMAND")
    env |= {
        "PATH": path_with(folder, [*project.python, "-m", "sandbox"]),
        "GITHUB_API_URL": hub.url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_REF_NAME": "main",
        "WARM_PYTHON": str(python),
    }
    yield Actions(project.folder, env, given, variables, TOKEN)
    shutil.rmtree(project.folder / ".venv")


def acting_as(actions: Actions, sandbox: Sandbox, *policies: Policy) -> Actions:
    """The same runner, logged in as an IAM user with these policies alone, as a role of the documentation has them."""
    iam, name = aws("iam", sandbox), f"runner-{secrets.token_hex(4)}"
    iam.create_user(UserName=name)
    for number, policy in enumerate(policies):
        made = iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=json.dumps(policy))["Policy"]
        iam.attach_user_policy(UserName=name, PolicyArn=made["Arn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    login = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return replace(actions, env={**actions.env, **login})


def pull_request(number: int, action: str, *labels: str, repository: str = REPOSITORY) -> dict[str, Any]:
    """The event of a pull request, whose branch lies in `repository`; a label that comes or goes is `test-stack`."""
    request = {
        "number": number,
        "state": "closed" if action == "closed" else "open",
        "head": {"repo": {"full_name": repository}},
        "base": {"ref": "main"},
        "labels": [{"name": name} for name in labels],
    }
    return {"action": action, "number": number, "pull_request": request, "label": {"name": "test-stack"}}


def templates_with_rooms(sandbox: Sandbox, count: int) -> list[str]:
    """New templates of 100ms, each with a room."""
    made = control(sandbox, "hms", "POST", "seed", {"templates": [{"count": count}]})["templates"]
    control(sandbox, "hms", "POST", "seed", {"rooms": [{"template_id": id_} for id_ in made]})
    return list(made)
