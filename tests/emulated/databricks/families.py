"""Policy families, which Databricks makes.

Source: https://docs.databricks.com/api/azure/workspace/policyfamilies
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.databricks.definitions import Definition
from tests.emulated.databricks.errors import ApiError

FAMILIES: Mapping[str, tuple[str, Definition]] = {
    "personal-vm": (
        "Personal Compute",
        {
            "node_type_id": {"type": "allowlist", "values": ["Standard_DS3_v2", "Standard_DS4_v2"]},
            "spark_version": {"type": "unlimited", "defaultValue": "auto:latest-ml"},
            "runtime_engine": {"type": "fixed", "value": "STANDARD", "hidden": True},
            "num_workers": {"type": "fixed", "value": 0, "hidden": True},
            "data_security_mode": {
                "type": "allowlist",
                "values": ["SINGLE_USER", "LEGACY_SINGLE_USER", "LEGACY_SINGLE_USER_STANDARD"],
                "defaultValue": "SINGLE_USER",
                "hidden": True,
            },
            "cluster_type": {"type": "fixed", "value": "all-purpose"},
            "instance_pool_id": {"type": "forbidden", "hidden": True},
            "autotermination_minutes": {"type": "unlimited", "defaultValue": 4320, "isOptional": True},
        },
    ),
    "shared-compute": (
        "Shared Compute",
        {
            "node_type_id": {"type": "unlimited", "defaultValue": "Standard_DS3_v2", "isOptional": True},
            "spark_version": {"type": "unlimited", "defaultValue": "auto:latest-lts"},
            "data_security_mode": {"type": "fixed", "value": "USER_ISOLATION", "hidden": True},
            "cluster_type": {"type": "fixed", "value": "all-purpose"},
            "autotermination_minutes": {"type": "unlimited", "defaultValue": 120, "isOptional": True},
        },
    ),
    "job-cluster": (
        "Job Compute",
        {
            "cluster_type": {"type": "fixed", "value": "job"},
            "spark_version": {"type": "unlimited", "defaultValue": "auto:latest-lts"},
            "num_workers": {"type": "unlimited", "defaultValue": 4, "isOptional": True},
        },
    ),
}
"""Families in the manner of Databricks' own, whose definitions change with the releases:

Source: https://learn.microsoft.com/azure/databricks/admin/clusters/policy-families
"""


async def _list(request: Request) -> JSONResponse:
    return JSONResponse({"policy_families": [_shown(family) for family in FAMILIES]})


async def _get(request: Request) -> JSONResponse:
    family = request.path_params["family"]
    if family not in FAMILIES:
        raise ApiError(404, "NOT_FOUND", f"Policy family {family} does not exist.")
    return JSONResponse(_shown(family))


def _shown(family: str) -> dict[str, str]:
    name, definition = FAMILIES[family]
    return {"policy_family_id": family, "name": name, "definition": json.dumps(definition)}


ROUTES = [
    Route("/api/2.0/policy-families", _list, methods=["GET"]),
    Route("/api/2.0/policy-families/{family}", _get, methods=["GET"]),
]
