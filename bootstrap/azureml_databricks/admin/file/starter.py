"""The file that `init` writes, for an admin to go on from."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from azureml_databricks.admin import to_run
from azureml_databricks.admin.bundle.archives import RUNTIMES
from azureml_databricks.admin.file.deployment import (
    Deployment,
    Host,
    Location,
    ResourceId,
    workspace_name,
)

# The newest with long-term support.
RUNTIME = [runtime.version for runtime in RUNTIMES.values() if runtime.lts][-1]
SCHEMA_FILE = "azureml-databricks.schema.json"
_FILE = """\
#:schema ./{schema}
# What `azureml-databricks deploy` makes of a Databricks workspace. No secret belongs in here.

[databricks]
host = {host}
# profile = "DEFAULT"  # of ~/.databrickscfg, instead of the host

[workspace]  # Azure Machine Learning
id = {workspace}
# or: url, its address in the studio; or: name, resourceGroup and subscriptionId
# cloud = "AzureUSGovernment"

[clusters]
runtimes = {runtimes}  # with "-ml": ML runtimes, not in standard access mode
# with = ["azure-ai-ml"]  # for notebooks that import MLClient
accessMode = {access_mode}  # "standard", "dedicated" or "no-isolation"
location = {location}  # only admins may write there

[login]
auth = "service-principal"  # or "managed-identity", "service-credential", ...

[secrets]  # of the service principal; `azureml-databricks secrets set` fills them
scope = {scope}
# tenantId = "tenantId"  # names of keys
# clientId = "clientId"
# clientSecret = "clientSecret"

[policy]  # or several: [[policy]]
name = {policy}
# description = "..."
groups = {groups}  # who may use it; ["users"] is everybody
# users = []
# servicePrincipals = []
# scope = "..."  # of several policies, one with a secret of its own
# family = "personal-vm"  # start from a policy family, or
# definition = "policy.json"  # from a definition of yours
# [policy.fixes]  # and what the policy says besides
# autotermination_minutes = {{ type = "fixed", value = 60, hidden = true }}

# [settings]  # see the README's table
# onError = "fail"
"""


@dataclass(frozen=True)
class Question:
    """What `init` asks.

    Attributes:
        text: the question.
        kind: of the answer, a type that pydantic checks and puts into its usual form.
    """

    text: str
    kind: Any

    def answer(self, given: str) -> str:
        """Return an answer in its usual form.

        Raises:
            ValueError: it is none, and why.
        """
        # What is pasted on Windows may have a byte order mark.
        text = given.strip().strip("\ufeff")
        if not text.isprintable():
            raise ValueError("it has letters that are not printable")
        try:
            return str(TypeAdapter(self.kind).validate_python(text))
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["ctx"]["error"])) from None


QUESTIONS = {
    "host": Question("Databricks workspace (https://adb-....azuredatabricks.net)", Host),
    "workspace": Question("Azure ML workspace (resource ID, or address in the studio)", ResourceId),
    "location": Question(
        "Folder for our files (/Volumes/CATALOG/SCHEMA/VOLUME, or /Workspace/...)", Location
    ),
    "group": Question("Group that may use the policy (users is everybody; empty for none yet)", str),
}


def distinction(file: Path) -> str:
    """Return what tells a file from others in its name, empty for nothing: `prod` of `prod.toml`."""
    return re.sub(r"[^\w.-]+", "-", file.stem, flags=re.ASCII).removeprefix("azureml-databricks").strip("-")


def text(host: str, workspace: str, location: str, group: str, *, file: Path) -> str:
    """Return the file; its arguments answer the questions.

    Names are made of the Azure ML workspace's and the file's, so that another deployment has others.
    """
    name = _own_name(workspace_name(workspace), file)
    own = f"azureml-{name}" if name else "azureml"
    is_whole_volume = re.fullmatch(r"/Volumes(/[^/]+){3}/?", location)
    values = {
        "scope": own,
        "policy": own,
        "host": host,
        "workspace": workspace,
        "runtimes": [RUNTIME],
        "access_mode": "standard" if location.startswith("/Volumes/") else "dedicated",
        "location": f"{location.rstrip('/')}/{name}" if is_whole_volume and name else location,
        "groups": [group] if group else [],
    }
    written = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    lines = _FILE.format(schema=SCHEMA_FILE, **written).splitlines()
    return "".join(f"{_aligned(line)}\n" for line in lines)


def _own_name(workspace: str, file: Path) -> str:
    also = distinction(file)
    return workspace if not also or workspace.endswith(also) else "-".join(filter(None, [workspace, also]))


def next_command(deployment: Deployment) -> str:
    """Return the command that makes a service principal for the deployment, and puts it into the scope."""
    name = _own_name(deployment.workspace.parts[2], deployment.path)
    # A second one of the same name would be the first with another secret.
    return (
        f'az ad sp create-for-rbac --name "mlflow-on-databricks-{name}" --role "AzureML Data Scientist" '
        f'--scopes "{deployment.workspace.id}" | {to_run.ours("secrets set")}'
    )


def _aligned(line: str) -> str:
    """Return a line with its comment in the column of the others."""
    value, separator, comment = line.partition("  #")
    return f"{value.rstrip():<38}  # {comment.strip()}" if separator else line
