"""A deployment for who keeps policies by other means: Terraform, Declarative Automation Bundles, Git.

What Terraform gets is JSON, which it takes in files `*.tf.json`:
https://developer.hashicorp.com/terraform/language/syntax/json. Its resources and their arguments:
https://registry.terraform.io/providers/databricks/databricks/latest/docs
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from azureml_databricks.admin.commands import deploy as deploying
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.deployment import Deployment, Policy, Principal
from azureml_databricks.admin.objects import policy as policies
from azureml_databricks.admin.objects.access import in_unity_catalog
from azureml_databricks.admin.objects.policy import Wanted
from azureml_databricks.admin.objects.release import SCRIPT, Release
from azureml_databricks.admin.printable import printable_json

_PROVIDER = {"databricks": {"source": "databricks/databricks"}}
# Of a resource of Terraform's: its type, its name, its arguments.
_Resource = tuple[str, str, dict[str, Any]]


def rendered(deployment: Deployment, form: str) -> str:
    """Return the policies of a deployment as a text.

    Args:
        deployment: what the file says.
        form: `definition`, `terraform` or `bundle`.

    Raises:
        AdminError: the workspace cannot be read, or the policy cannot be as it is to be.
    """
    wanted = _wanted(deployment, deploying.release(deployment).script)
    if form == "terraform":
        return _json(_blocks(_of_policies(wanted)))
    if form == "bundle":
        return _json({"resources": {"cluster_policies": dict(_in_bundle(wanted))}})
    if len(wanted) == 1:
        return printable_json(wanted[0][1].as_text())
    return _json({it.name: it.definition for _, it in wanted})


def write_module(deployment: Deployment, out: Path) -> Iterator[Path]:
    """Write all objects of a deployment as a module of Terraform's, and yield its files.

    A release has a file and a folder of its own, which stay when another one is written beside them: clusters
    that run need it still.

    Args:
        deployment: what the file says.
        out: the folder, which may hold what was written before.

    Raises:
        AdminError: as `rendered`.
        BundleError: the packages cannot be fetched.
        OSError: the folder cannot be written.
    """
    release = deploying.release(deployment)
    wanted = _wanted(deployment, release.script)
    folder = out / release.name
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for path in release.build(folder):
        files.append(path.name)
        if path.parent != folder:
            # What is in our package as it is.
            shutil.copyfile(path, folder / path.name)
    rest = [*_of_access(deployment), *_of_policies(wanted, needs=_names(_of_files(release, files)))]
    for name, blocks in {
        f"release-{release.name}.tf.json": _blocks(_of_files(release, files)),
        "azureml-databricks.tf.json": {
            "terraform": {"required_providers": _PROVIDER},
            **_variables(deployment),
            **_blocks(rest),
        },
    }.items():
        (out / name).write_text(f"{_json(blocks)}\n", encoding="utf-8")
        yield out / name
    yield folder


def _wanted(deployment: Deployment, script: str) -> list[tuple[Policy, Wanted]]:
    return [(policy, policies.wanted(deployment, policy, script)) for policy in deployment.policies]


def _in_bundle(wanted: Sequence[tuple[Policy, Wanted]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield policies as bundles have them: https://docs.databricks.com/dev-tools/bundles/resources."""
    for name, policy, it in _named(wanted):
        arguments = it.as_arguments()
        if any("${" in text for text in arguments.values()):
            raise AdminError(
                f"policy {it.name} has ${{, which a bundle would take for a variable of its own: take it out "
                "of [policy], or use --format terraform"
            )
        yield (
            name,
            {**arguments, "permissions": [{**_who(who), "level": "CAN_USE"} for who in policy.principals]},
        )


def _of_policies(wanted: Sequence[tuple[Policy, Wanted]], needs: Sequence[str] = ()) -> Iterator[_Resource]:
    for name, policy, it in _named(wanted):
        waits = {"depends_on": list(needs)} if needs else {}
        yield "databricks_cluster_policy", name, {**_literal(it.as_arguments()), **waits}
        if policy.principals:
            # An admin has the right in any case, and Terraform lists them in no resource.
            entries = [{**_literal(_who(who)), "permission_level": "CAN_USE"} for who in policy.principals]
            policy_id = f"${{databricks_cluster_policy.{name}.id}}"
            yield "databricks_permissions", name, {"cluster_policy_id": policy_id, "access_control": entries}


def _of_files(release: Release, files: Iterable[str]) -> Iterator[_Resource]:
    folder = release.script.removesuffix(f"/{SCRIPT}")
    in_volume = folder.startswith("/Volumes/")
    kind = "databricks_file" if in_volume else "databricks_workspace_file"
    for file in files:
        # A workspace file's path is without what a node has before it.
        path = f"{folder}/{file}" if in_volume else f"{folder}/{file}".removeprefix("/Workspace")
        source = f"${{path.module}}/{release.name}/{file}"
        yield (
            kind,
            f"release_{release.name}_{_identifier(file)}",
            {"source": source, **_literal({"path": path})},
        )


def _of_access(deployment: Deployment) -> Iterator[_Resource]:
    location, principals = deployment.clusters.location, deployment.principals
    if "standard" in deployment.access_modes:
        yield "databricks_artifact_allowlist", "init_scripts", _allowlist(location)
    if location.startswith("/Volumes/"):
        volume = ".".join(location.split("/")[2:5])
        for name, who in _each(principals):
            grant = {"principal": in_unity_catalog(who.name), "privileges": ["READ_VOLUME"]}
            yield "databricks_grant", f"read_{name}", _literal({"volume": volume, **grant})
    elif principals:
        entries = [{**_literal(_who(who)), "permission_level": "CAN_READ"} for who in principals]
        folder = location.removeprefix("/Workspace")
        yield "databricks_directory", "location", _literal({"path": folder})
        reads = {"directory_path": "${databricks_directory.location.path}", "access_control": entries}
        yield "databricks_permissions", "location", reads
    if deployment.needs_secrets:
        of_scopes = [(scope, who) for scope, readers in deployment.scopes.items() for who in readers]
        for number, (scope, who) in enumerate(of_scopes, start=1):
            acl = {"scope": scope, "principal": who.name, "permission": "READ"}
            yield "databricks_secret_acl", f"read_{number}_{_identifier(who.name)}", _literal(acl)
    for name, who in _each(principals):
        if credential := deployment.login.service_credential:
            grant = {"principal": in_unity_catalog(who.name), "privileges": ["ACCESS"]}
            yield "databricks_grant", f"access_{name}", _literal({"credential": credential, **grant})


def _allowlist(location: str) -> dict[str, Any]:
    """Return the metastore's list, which Terraform knows as a whole: others' entries are in it too."""
    return {
        "artifact_type": "INIT_SCRIPT",
        "dynamic": {
            "artifact_matcher": {
                "for_each": f"${{toset(concat({json.dumps([_escaped(f'{location}/')])}, "
                "var.init_scripts_of_others))}",
                "content": {"artifact": "${artifact_matcher.value}", "match_type": "PREFIX_MATCH"},
            }
        },
    }


def _variables(deployment: Deployment) -> dict[str, Any]:
    if "standard" not in deployment.access_modes:
        return {}
    what = (
        "All other entries of the metastore's allowlist of init scripts, which Terraform writes as a whole: "
        "databricks artifact-allowlists get INIT_SCRIPT"
    )
    return {"variable": {"init_scripts_of_others": {"type": "list(string)", "description": what}}}


def _named(wanted: Sequence[tuple[Policy, Wanted]]) -> Iterator[tuple[str, Policy, Wanted]]:
    for number, (policy, it) in enumerate(wanted, start=1):
        yield f"azureml_{number}" if len(wanted) > 1 else "azureml", policy, it


def _each(principals: Iterable[Principal]) -> Iterator[tuple[str, Principal]]:
    """Yield who gets a right, with a name that no two have."""
    for number, who in enumerate(principals, start=1):
        yield f"{number}_{_identifier(who.name)}", who


def _who(who: Principal) -> dict[str, str]:
    return {who.kind: who.name}


def _identifier(text: str) -> str:
    return re.sub(r"\W+", "_", text, flags=re.ASCII)


def _names(resources: Iterable[_Resource]) -> list[str]:
    return [f"{kind}.{name}" for kind, name, _ in resources]


def _blocks(resources: Iterable[_Resource]) -> dict[str, Any]:
    blocks: dict[str, dict[str, Any]] = {}
    for kind, name, arguments in resources:
        blocks.setdefault(kind, {})[name] = arguments
    return {"resource": blocks}


def _literal(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of which Terraform makes these: its strings are templates, in JSON too."""
    return {key: _escaped(text) if isinstance(text, str) else text for key, text in arguments.items()}


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")


def _json(document: Any) -> str:
    return printable_json(json.dumps(document, indent=2, ensure_ascii=False))
