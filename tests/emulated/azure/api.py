"""The data plane, ``<region>.api.azureml.ms``: the services of the workspace, by path.

Source: azureml.mlflow._store.tracking.store
"""

from __future__ import annotations

from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp

from tests.emulated.azure.artifacts import Artifacts, all_artifacts_app, run_artifacts_app
from tests.emulated.azure.azurite import Azurite
from tests.emulated.azure.errors import azureml_denied, azureml_error
from tests.emulated.azure.identities import Principal, Workspace
from tests.emulated.azure.ids import Ids
from tests.emulated.azure.limits import Limits, MetricNames
from tests.emulated.azure.registries import Registries
from tests.emulated.azure.tokens import Guard, Tokens
from tests.emulated.azure.tracking import Generation, tracking_app


def api_app(
    workspace: Workspace,
    tokens: Tokens,
    principals: tuple[Principal, ...],
    mlflow_url: str,
    azurite: Azurite,
    generation: Generation,
    ids: Ids,
    metric_names: MetricNames,
    registries: Registries,
) -> ASGIApp:
    artifacts = Artifacts(azurite)
    limits = Limits(metric_names)
    tracking = tracking_app(mlflow_url, generation, ids, artifacts, principals[0].display_name, limits)
    services = Router(
        routes=[
            Mount(f"/mlflow/v1.0{workspace.resource_id}", tracking),
            Mount(f"/mlflow/v2.0{workspace.resource_id}", tracking),
            # azureml.mlflow._internal.utils.RegistryServiceContext
            Mount(f"/mlflow/v2.0{workspace.registry_id}", tracking),
            Route("/registrymanagement/v1.0/registries/{name}/discovery", registries.discovery),
            Mount(f"/history/v1.0{workspace.resource_id}", run_artifacts_app(artifacts, mlflow_url, ids)),
            Mount(f"/artifact/v2.0{workspace.resource_id}", all_artifacts_app(artifacts)),
        ],
        default=azureml_error(404, "Workspace not found."),
    )
    return Guard(services, tokens, workspace.cloud.audiences, principals, azureml_denied)
