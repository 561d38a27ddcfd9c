"""The emulated Azure refuses what Azure ML is reported to refuse: to any client, and as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
from azure.identity import ClientSecretCredential

from tests.emulated.azure import EmulatedAzure

Items = list[dict[str, Any]]


class Service:
    """MLflow's REST API of the workspace, with one run of its own."""

    def __init__(self, azure: EmulatedAzure) -> None:
        principal, host = azure.principal, azure.workspace.cloud.api_host
        login = (principal.tenant_id, principal.client_id, principal.client_secret)
        token = ClientSecretCredential(*login).get_token("https://management.azure.com/.default").token
        self._headers = {"Authorization": f"Bearer {token}"}
        self._url = f"https://{host}/mlflow/v2.0{azure.workspace.resource_id}/api/2.0/mlflow"
        self.experiment = self.post("experiments/create", name=f"limits-{uuid4().hex[:8]}")["experiment_id"]
        self.new_run()

    def new_run(self) -> None:
        self.run_id = self.post("runs/create", experiment_id=self.experiment)["run"]["info"]["run_id"]

    def post(self, endpoint: str, **fields: Any) -> Any:
        answer = requests.post(f"{self._url}/{endpoint}", json=fields, headers=self._headers, timeout=300)
        return answer.json()

    def log(self, **fields: Any) -> str:
        """Return what is refused, nothing for what is taken."""
        return str(self.post("runs/log-batch", run_id=self.run_id, **fields) or "")

    def get(self, endpoint: str, **query: Any) -> Any:
        return requests.get(
            f"{self._url}/{endpoint}", params=query, headers=self._headers, timeout=300
        ).json()

    def data(self) -> dict[str, dict[str, Any]]:
        data = self.get("runs/get", run_id=self.run_id)["run"]["data"]
        return {kind: {each["key"]: each["value"] for each in data[kind]} for kind in data}


@pytest.fixture(scope="module")
def _service(_azure: EmulatedAzure) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _azure.environment.items():
            patch.setenv(name, value)
        yield Service(_azure)


@pytest.fixture
def service(_service: Service) -> Service:
    _service.new_run()
    return _service


def values(prefix: str, count: int) -> Items:
    return [{"key": f"{prefix}{number}", "value": "1"} for number in range(count)]


def points(names: int, values: int = 1) -> Items:
    return [
        {"key": f"m{name}", "value": step, "timestamp": 1, "step": step}
        for name in range(names)
        for step in range(values)
    ]


def test_a_run_has_200_params_in_all(service: Service) -> None:
    assert not service.log(params=values("a", 100))
    assert not service.log(params=values("b", 100))
    assert "FieldName=Parameters, Limit=200, Size=201" in service.log(params=values("c", 1))
    assert not service.log(params=values("a", 100)), "those that it has already are none too many"


def test_one_long_param_loses_the_whole_request(service: Service) -> None:
    params = [{"key": "short", "value": "1"}, {"key": "long", "value": "ü" * 501}]

    assert "Limit=500, Size=501" in service.log(params=params)
    assert "Limit=500, Size=502" in service.log(params=[{"key": "units", "value": "😀" * 251}])
    assert service.data().get("params", {}) == {}


def test_a_run_has_50_tags_with_short_keys_and_values(service: Service) -> None:
    room = 50 - len(service.data()["tags"])

    assert not service.log(tags=values("a", room))
    assert "Limit=50, Size=51" in service.log(tags=values("b", 1))
    service.post("runs/delete-tag", run_id=service.run_id, key="a0")
    assert not service.log(tags=values("b", 1))
    assert "Limit=100" in service.log(tags=[{"key": "k" * 101, "value": ""}])
    assert "Limit=1000" in service.log(tags=[{"key": "a1", "value": "v" * 1001}])


def test_a_request_is_small(service: Service) -> None:
    assert "Limit=200" in service.log(metrics=points(1, 201))
    assert "Limit=100" in service.log(params=values("p", 101))
    assert "Limit=100" in service.log(tags=values("t", 101))


def test_a_page_of_a_history_has_fewer_than_1000_points(service: Service) -> None:
    asked = {"run_id": service.run_id, "metric_key": "m0"}

    assert service.get("metrics/get-history", **asked, max_results=999).get("error_code") is None
    assert "1000" in service.get("metrics/get-history", **asked, max_results=1000)["Error"]["Message"]


@pytest.mark.parametrize(
    ("beyond", "said", "kept"), [("refused", "Limit=50, Size=60", 0), ("dropped", "", 50), ("taken", "", 60)]
)
def test_metric_names_beyond_50_are_refused_dropped_or_taken(
    azure: EmulatedAzure, service: Service, beyond: Any, said: str, kept: int
) -> None:
    azure.metric_names.beyond = beyond

    assert said in service.log(metrics=points(60))
    assert len(service.data().get("metrics", {})) == kept


@pytest.mark.parametrize(
    "question",
    [
        {"order_by": ["metrics.loss DESC"]},
        {"order_by": ["params.`a b`"]},
        {"order_by": ["attributes.start_time", "tags.team"]},
        {"filter": "tags.team != 'red'"},
        {"filter": "attributes.status = 'RUNNING' and tag.`team` != \"red\""},
        {"filter": "metrics.`val/loss` > 1"},
        {"max_results": 1001},
    ],
)
def test_a_search_is_simple(service: Service, question: dict[str, Any]) -> None:
    refused = service.post("runs/search", experiment_ids=[service.experiment], **question)

    assert refused["error_code"] == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    "question",
    [
        {"order_by": ["attributes.start_time DESC", "run_name", "end_time ASC"]},
        {"filter": "tags.team = 'a != b' AND metrics.loss_1 > 1 AND params.x != '1'"},
        {"max_results": 1000},
    ],
)
def test_what_is_simple_is_found(service: Service, question: dict[str, Any]) -> None:
    found = service.post("runs/search", experiment_ids=[service.experiment], **question)

    assert "error_code" not in found


def test_a_display_name_is_short(service: Service) -> None:
    for refused in (
        service.post("runs/create", experiment_id=service.experiment, run_name="n" * 257),
        service.post("runs/update", run_id=service.run_id, run_name="n" * 257),
        service.post("runs/set-tag", run_id=service.run_id, key="mlflow.runName", value="n" * 257),
    ):
        assert "FieldName=DisplayName, Limit=256, Size=257" in refused["Error"]["Message"]
