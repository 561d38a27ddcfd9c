"""The file that `init` writes, for an admin to go on from."""

from __future__ import annotations

import json

from azureml_databricks.admin.bundle.archives import RUNTIMES

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

# [secrets]  # of the service principal; `azureml-databricks secrets set` fills them
# scope = "azureml"
# tenantId = "tenantId"  # names of keys
# clientId = "clientId"
# clientSecret = "clientSecret"

[policy]
name = "azureml"
# description = "..."
groups = {groups}  # who may use it; ["users"] is everybody
# users = []
# servicePrincipals = []
# family = "personal-vm"  # start from a policy family, or
# definition = "policy.json"  # from a definition of yours
# [policy.fixes]  # and what the policy says besides
# autotermination_minutes = {{ type = "fixed", value = 60, hidden = true }}

# [settings]  # see the README's table
# onError = "fail"
"""


QUESTIONS = {
    "host": "Databricks workspace (https://adb-....azuredatabricks.net)",
    "workspace": "Azure ML workspace (resource ID, or address in the studio)",
    "location": "Folder for our files (/Volumes/CATALOG/SCHEMA/VOLUME, or /Workspace/...)",
    "group": "Group that may use the policy (users is everybody)",
}


def text(host: str, workspace: str, location: str, group: str) -> str:
    """Return the file; its arguments answer the questions."""
    values = {
        "host": host,
        "workspace": workspace,
        "runtimes": [RUNTIME],
        "access_mode": "standard" if location.startswith("/Volumes/") else "dedicated",
        "location": location,
        "groups": [group],
    }
    written = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    lines = _FILE.format(schema=SCHEMA_FILE, **written).splitlines()
    return "".join(f"{_aligned(line)}\n" for line in lines)


def _aligned(line: str) -> str:
    """Return a line with its comment in the column of the others."""
    value, separator, comment = line.partition("  #")
    return f"{value.rstrip():<38}  # {comment.strip()}" if separator else line
