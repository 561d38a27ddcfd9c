"""What a cluster's access mode rules out, as the workspace says when the cluster is made.

Source: https://learn.microsoft.com/azure/databricks/compute/standard-limitations,
https://learn.microsoft.com/azure/databricks/init-scripts/#where-can-init-scripts-be-installed
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from tests.emulated.databricks.allowlists import Allowlists
from tests.emulated.databricks.definitions import Spec
from tests.emulated.databricks.errors import invalid

Mode = Literal["standard", "dedicated", "no isolation"]

_MODES: dict[str, Mode] = {
    "USER_ISOLATION": "standard",
    "DATA_SECURITY_MODE_STANDARD": "standard",
    "SINGLE_USER": "dedicated",
    "DATA_SECURITY_MODE_DEDICATED": "dedicated",
    "NONE": "no isolation",
}
"""The access modes' names in the API, older ones included.

Source: databricks.sdk.service.compute (DataSecurityMode)
"""

_RESTRICTED_SINCE = 19
_RESTRICTED_CONF = (
    "spark.driver.extraJavaOptions",
    "spark.executor.extraJavaOptions",
    "spark.executorEnv.",
    "spark.files",
    "spark.jars",
    "spark.kubernetes.",
)
"""Keys of the Spark conf that no cluster in standard access mode may have from runtime 19 on, by prefix.

Source: https://learn.microsoft.com/azure/databricks/release-notes/runtime/19; facts: seen, a summary of that
page, which has these
"""
DependencyMode = Literal["environments", "cluster libraries"]
_DEPENDENCY_MODES: dict[str, DependencyMode] = {
    "DEPENDENCY_MODE_AUTO": "cluster libraries",
    "DEPENDENCY_MODE_CLUSTER_LIBRARIES": "cluster libraries",
    "DEPENDENCY_MODE_ENVIRONMENTS": "environments",
}


def mode(spec: Spec) -> Mode:
    """Return a cluster's access mode.

    Raises:
        ApiError: there is no such mode here.
    """
    asked = spec.get("data_security_mode") or "NONE"
    if asked == "DATA_SECURITY_MODE_AUTO":
        return "dedicated" if _is_ml(spec) else "standard"
    if asked not in _MODES:
        raise invalid(f"Invalid data security mode: {asked}")
    return _MODES[asked]


def is_restricted(spec: Spec) -> bool:
    """Whether what runtime 19 has restricted in standard access mode is restricted for a cluster.

    Source: https://learn.microsoft.com/azure/databricks/release-notes/runtime/19
    """
    major = re.match(r"\d+", spec["spark_version"])
    return bool(mode(spec) == "standard" and major and int(major[0]) >= _RESTRICTED_SINCE)


def dependency_mode(spec: Spec) -> DependencyMode:
    """Return where a cluster's packages come from; AUTO depends on what else the spec has.

    Environments, unless there are Docker, variables or init scripts; before runtime 19, and in other access
    modes, there are cluster libraries only.

    Raises:
        ApiError: there is no such mode, or Environments is asked for where it cannot be had.

    Source: https://learn.microsoft.com/azure/databricks/compute/environments-mode,
    databricks.sdk.service.compute (DependencyMode); the words are assumed
    """
    asked = spec.get("dependency_mode") or "DEPENDENCY_MODE_AUTO"
    if asked not in _DEPENDENCY_MODES:
        raise invalid(f"Invalid dependency mode: {asked}")
    if asked == "DEPENDENCY_MODE_AUTO":
        others = any(spec.get(field) for field in ("docker_image", "spark_env_vars", "init_scripts"))
        return "environments" if is_restricted(spec) and not others else "cluster libraries"
    if _DEPENDENCY_MODES[asked] == "environments" and not is_restricted(spec):
        raise invalid(
            f"{asked} is supported only in standard access mode on Databricks Runtime 19 and above, not on "
            f"{spec['spark_version']}."
        )
    return _DEPENDENCY_MODES[asked]


def init_scripts(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield the kind of place (`volumes`, `workspace`, ...) and the path of each init script, in order."""
    for script in spec.get("init_scripts") or []:
        for kind, place in script.items():
            yield kind, place["destination"]


def check(spec: Spec, allowlists: Allowlists) -> None:
    """Refuse a spec whose access mode cannot be had with its runtime, or with an init script's place.

    Standard: no ML runtime, no script in workspace files, and the script on the allowlist. No isolation: no
    script in a volume. The words about the allowlist are reported; those about runtimes and places are ours.

    Raises:
        ApiError: it says what cannot be.

    Source: https://learn.microsoft.com/azure/databricks/compute/standard-limitations,
    https://learn.microsoft.com/azure/databricks/init-scripts/#where-can-init-scripts-be-installed
    """
    of_spec = mode(spec)
    dependency_mode(spec)
    _check_conf(spec)
    if of_spec == "standard" and _is_ml(spec):
        raise invalid(f"Standard access mode does not support {spec['spark_version']}, an ML runtime.")
    for kind, path in init_scripts(spec):
        if of_spec == "standard" and kind == "workspace":
            raise invalid(f"Standard access mode does not support init scripts in workspace files: {path}")
        if of_spec == "no isolation" and kind == "volumes":
            raise invalid(f"No isolation shared access mode does not support init scripts in volumes: {path}")
        if of_spec == "standard" and not allowlists.allows(path):
            raise invalid(
                "Attempting to install the following init scripts that are not in the allowlist.\n"
                f"{path}: PERMISSION_DENIED: '{path}' is not in the artifact allowlist"
            )


def _check_conf(spec: Spec) -> None:
    """Refuse a restricted key of the Spark conf.

    Raises:
        ApiError: it says which.

    Source: https://learn.microsoft.com/azure/databricks/release-notes/runtime/19; the words are assumed
    """
    restricted = [key for key in spec.get("spark_conf") or {} if key.startswith(_RESTRICTED_CONF)]
    if restricted and is_restricted(spec):
        raise invalid(
            f"Spark configuration {restricted[0]} is restricted in standard access mode on "
            f"{spec['spark_version']}."
        )


def _is_ml(spec: Spec) -> bool:
    return "-ml-" in spec["spark_version"]
