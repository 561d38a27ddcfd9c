"""What a cluster's access mode rules out, as the workspace says when the cluster is made.

Source: https://learn.microsoft.com/azure/databricks/compute/standard-limitations,
https://learn.microsoft.com/azure/databricks/init-scripts/#where-can-init-scripts-be-installed
"""

from __future__ import annotations

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


def _is_ml(spec: Spec) -> bool:
    return "-ml-" in spec["spark_version"]
