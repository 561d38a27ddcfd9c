"""Clusters: a spec, a policy, and a state that changes with time.

No machine runs for them here: `tests.emulated.databricks.cluster` boots one. Not minilake's, which forgets
init scripts and access modes.

Source: https://docs.databricks.com/api/azure/workspace/clusters
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.databricks import access_modes, definitions
from tests.emulated.databricks.allowlists import Allowlists
from tests.emulated.databricks.callers import Caller, caller
from tests.emulated.databricks.definitions import Spec
from tests.emulated.databricks.errors import ApiError, invalid
from tests.emulated.databricks.ids import new_cluster_id
from tests.emulated.databricks.pages import page
from tests.emulated.databricks.policies import Policies

ENDED_WELL = ("USER_REQUEST", "JOB_FINISHED")
"""Reasons of a termination that are no failure:

Source: databricks.sdk.service.compute (TerminationReasonCode)
"""
# What is told of a cluster besides its spec.
_NOT_OF_THE_SPEC = ("cluster_id", "apply_policy_default_values", "clone_from")


class Clusters:
    """All clusters of the workspace."""

    def __init__(self, policies: Policies, allowlists: Allowlists) -> None:
        self._policies = policies
        self._allowlists = allowlists
        self._clusters: dict[str, dict[str, Any]] = {}

    @property
    def routes(self) -> list[Route]:
        routes = []
        for version in ("2.0", "2.1"):
            base = f"/api/{version}/clusters"
            routes += [
                Route(f"{base}/create", self._create, methods=["POST"]),
                Route(f"{base}/edit", self._edit, methods=["POST"]),
                Route(f"{base}/start", self._start, methods=["POST"]),
                Route(f"{base}/restart", self._start, methods=["POST"]),
                Route(f"{base}/delete", self._terminate, methods=["POST"]),
                Route(f"{base}/permanent-delete", self._delete, methods=["POST"]),
                Route(f"{base}/get", self._get, methods=["GET"]),
                Route(f"{base}/list", self._list, methods=["GET"]),
                Route(f"{base}/events", self._events, methods=["POST"]),
                Route(f"{base}/list-node-types", self._node_types, methods=["GET"]),
                Route(f"{base}/spark-versions", self._spark_versions, methods=["GET"]),
            ]
        return routes

    def spec(self, sent: Spec, who: Caller, kind: str) -> Spec:
        """Return what becomes of a spec under its policy; only an admin needs none.

        Args:
            sent: by the user.
            who: the user.
            kind: `all-purpose` or `job`.

        Raises:
            ApiError: the policy refuses it, or there is none and `who` is no admin.

        Source: https://learn.microsoft.com/azure/databricks/admin/clusters/policies
        """
        spec = {key: value for key, value in sent.items() if key not in _NOT_OF_THE_SPEC}
        if not sent.get("policy_id"):
            if "admin of the workspace" not in who.rights:
                raise ApiError(403, "PERMISSION_DENIED", "You are not authorized to create clusters.")
        else:
            definition = self._policies.definition(sent["policy_id"], who)
            defaults = bool(sent.get("apply_policy_default_values"))
            spec = definitions.apply(definition, spec, defaults=defaults)
            refused = definitions.violations(definition, spec, kind)
            if refused:
                parts = (f"Validation failed for {path}, {why}" for path, why in refused.items())
                raise invalid(f"Cluster validation error: {'; '.join(parts)}")
        if not spec.get("spark_version"):
            raise invalid("Missing required field 'spark_version'")
        if not spec.get("node_type_id") and not spec.get("instance_pool_id"):
            raise invalid("Missing required field: node_type_id or instance_pool_id")
        _check_size(spec)
        access_modes.check(spec, self._allowlists)
        return spec

    def add(self, spec: Spec, who: Caller, source: str = "API") -> dict[str, Any]:
        """Make a cluster of a spec that `spec` returned."""
        cluster_id = new_cluster_id()
        self._clusters[cluster_id] = {
            **spec,
            "cluster_id": cluster_id,
            "cluster_source": source,
            "creator_user_name": who.user_name,
            "spec": spec,
            "state": "RUNNING",
            "state_message": "",
            "start_time": _now(),
            "default_tags": {"Vendor": "Databricks", "Creator": who.user_name, "ClusterId": cluster_id},
        }
        return self._clusters[cluster_id]

    def change(self, cluster_id: str, spec: Spec) -> None:
        """Give a cluster another spec; one that runs restarts with it."""
        cluster = self.found(cluster_id)
        for key in cluster["spec"]:
            del cluster[key]
        cluster.update(spec, spec=spec)
        if cluster["state"] == "RUNNING":
            cluster["last_restarted_time"] = _now()

    def terminate(self, cluster_id: str, code: str, message: str = "") -> None:
        """Stop a cluster, telling why.

        Source: https://docs.databricks.com/api/azure/workspace/clusters/get
        """
        kind = "SUCCESS" if code in ENDED_WELL else "CLIENT_ERROR"
        parameters = {"databricks_error_message": message} if message else {}
        self.found(cluster_id).update(
            state="TERMINATED",
            state_message=message,
            terminated_time=_now(),
            termination_reason={"code": code, "type": kind, "parameters": parameters},
        )

    def found(self, cluster_id: str) -> dict[str, Any]:
        if cluster_id not in self._clusters:
            raise invalid(f"Cluster {cluster_id} does not exist")
        return self._clusters[cluster_id]

    def under(self, policy_id: str) -> list[dict[str, Any]]:
        """Return the clusters that users made with a policy."""
        return [
            it
            for it in self._clusters.values()
            if it.get("policy_id") == policy_id and it["cluster_source"] != "JOB"
        ]

    async def _create(self, request: Request) -> JSONResponse:
        """Make a cluster; it is RUNNING at once."""
        who = caller(request)
        cluster = self.add(self.spec(await request.json(), who, "all-purpose"), who)
        return JSONResponse({"cluster_id": cluster["cluster_id"]})

    async def _edit(self, request: Request) -> JSONResponse:
        """Replace the whole spec."""
        sent = await request.json()
        self.found(sent["cluster_id"])
        self.change(sent["cluster_id"], self.spec(sent, caller(request), "all-purpose"))
        return JSONResponse({})

    async def _start(self, request: Request) -> JSONResponse:
        """Start or restart; the policy is checked as it is now.

        Source: https://learn.microsoft.com/azure/databricks/admin/clusters/policies
        """
        cluster = self.found((await request.json())["cluster_id"])
        self.spec(cluster["spec"], caller(request), "all-purpose")
        cluster.update(state="RUNNING", last_restarted_time=_now())
        return JSONResponse({})

    async def _terminate(self, request: Request) -> JSONResponse:
        self.terminate((await request.json())["cluster_id"], "USER_REQUEST")
        return JSONResponse({})

    async def _delete(self, request: Request) -> JSONResponse:
        cluster = self.found((await request.json())["cluster_id"])
        del self._clusters[cluster["cluster_id"]]
        return JSONResponse({})

    async def _get(self, request: Request) -> JSONResponse:
        return JSONResponse(self.found(request.query_params["cluster_id"]))

    async def _list(self, request: Request) -> JSONResponse:
        """A page of clusters, 20 unless asked for up to 100; filters: policy, state, source.

        Source: https://docs.databricks.com/api/azure/workspace/clusters/list
        """
        asked = request.query_params
        found = [it for it in self._clusters.values() if _matches(it, asked)]
        return JSONResponse(page(found, asked, key="clusters"))

    async def _events(self, request: Request) -> JSONResponse:
        """What became of a cluster's init scripts, where one of them kept it from starting.

        Source: databricks.sdk.service.compute
        """
        sent = await request.json()
        cluster = self.found(sent["cluster_id"])
        if cluster.get("termination_reason", {}).get("code") != "INIT_SCRIPT_FAILURE":
            return JSONResponse({})
        message = cluster["state_message"]
        executed = message.endswith("non-zero")
        came = {"status": "FAILED_EXECUTION" if executed else "FAILED_FETCH"}
        told = {} if executed else {"error_message": message}
        scripts = [{**it, **came, **told} for it in cluster["spec"].get("init_scripts", [])]
        event = {
            "cluster_id": cluster["cluster_id"],
            "timestamp": cluster["terminated_time"],
            "type": "INIT_SCRIPTS_FINISHED",
            "details": {"init_scripts": {"cluster": scripts}},
        }
        return JSONResponse({"events": [event], "total_count": 1})

    async def _node_types(self, request: Request) -> JSONResponse:
        """Two types of machine."""
        return JSONResponse(
            {"node_types": [_node_type("Standard_DS3_v2", 4), _node_type("Standard_DS4_v2", 8)]}
        )

    async def _spark_versions(self, request: Request) -> JSONResponse:
        """15.4, standard and ML."""
        versions = [
            ("15.4.x-scala2.12", "15.4 LTS (includes Apache Spark 3.5.0, Scala 2.12)"),
            ("15.4.x-cpu-ml-scala2.12", "15.4 LTS ML (includes Apache Spark 3.5.0, Scala 2.12)"),
        ]
        return JSONResponse({"versions": [{"key": key, "name": name} for key, name in versions]})


def _check_size(spec: Spec) -> None:
    """Refuse a cluster that has no size, or none that goes together.

    Raises:
        ApiError: it says what is wrong.

    Source: facts: reported, https://github.com/databricks/cli/issues/1546
    """
    if spec.get("is_single_node"):
        if spec.get("kind") != "CLASSIC_PREVIEW":
            raise invalid("is_single_node can only be used when kind is CLASSIC_PREVIEW")
        return
    if spec.get("num_workers") is None and not spec.get("autoscale"):
        raise invalid("Missing required field: size")
    profile = (spec.get("spark_conf") or {}).get("spark.databricks.cluster.profile")
    if spec.get("num_workers") == 0 and profile != "singleNode":
        raise invalid("NumWorkers could be 0 only for SingleNode clusters.")


def _matches(cluster: Mapping[str, Any], asked: QueryParams) -> bool:
    """Whether a list asks for a cluster."""
    fields = {"policy_id": "policy_id", "cluster_states": "state", "cluster_sources": "cluster_source"}
    wanted = {field: asked.getlist(f"filter_by.{name}") for name, field in fields.items()}
    return all(cluster.get(field) in values for field, values in wanted.items() if values)


def _node_type(name: str, cores: int) -> dict[str, Any]:
    return {
        "node_type_id": name,
        "num_cores": cores,
        "memory_mb": cores * 3584,
        "description": name,
        "instance_type_id": name,
        "category": "General Purpose",
        "node_info": {"status": []},
        "is_deprecated": False,
    }


def _now() -> int:
    return int(time.time() * 1000)
