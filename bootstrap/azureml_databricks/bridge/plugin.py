"""The entry points: small, since `import mlflow` loads them all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from azureml_databricks.bridge import plugin_package
from azureml_databricks.node import variables

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from mlflow.store.model_registry.abstract_store import AbstractStore as ModelRegistryStore
    from mlflow.store.tracking.abstract_store import AbstractStore as TrackingStore
    from mlflow.tracking.context.abstract_context import RunContextProvider
    from mlflow.tracking.default_experiment.abstract_context import DefaultExperimentProvider

_logger = logging.getLogger("mlflow.azureml_databricks")

# One of each workspace, however its address is spelt: what a store has still to send, its reads include.
_stores: dict[str, TrackingStore] = {}


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> TrackingStore:
    """Build the tracking store of an `azureml://` URI."""
    import mlflow.entities

    plugin_package.put_off()
    from azureml_databricks.bridge.workspace import service_context

    if hasattr(mlflow.entities, "LoggedModel"):
        from azureml_databricks.bridge.logged_models import LoggedModelsStore as Store
    else:
        from azureml_databricks.bridge.tracking import WorkspaceTrackingStore as Store
    context = service_context(store_uri)
    name = (context.host_url + context._get_scope()).lower()
    if name not in _stores:
        _stores.setdefault(name, Store(context))
    return _stores[name]


def model_registry_store(store_uri: str, tracking_uri: str | None = None) -> ModelRegistryStore:
    """Build the model registry store of an `azureml://` URI."""
    plugin_package.put_off()
    from azureml_databricks.bridge.registry import WorkspaceModelRegistryStore
    from azureml_databricks.bridge.workspace import model_registry_context

    store: ModelRegistryStore = WorkspaceModelRegistryStore(model_registry_context(store_uri))
    return store


def unity_catalog_store(store_uri: str, tracking_uri: str) -> ModelRegistryStore:
    """Build the model registry store of a `databricks-uc` URI, for MLflow 3."""
    plugin_package.put_off()
    from azureml_databricks.bridge.unity_catalog import UnityCatalogStore

    store: ModelRegistryStore = UnityCatalogStore(store_uri, tracking_uri)  # type: ignore[no-untyped-call]
    return store


def artifact_repository(artifact_uri: str, *args: Any, **kwargs: Any) -> ArtifactRepository:
    """Build the artifact repository of an `azureml://` URI; MLflow's versions pass more or less along."""
    plugin_package.put_off()
    from azureml_databricks.bridge.artifacts import WorkspaceArtifactRepository

    repository: ArtifactRepository = WorkspaceArtifactRepository(artifact_uri, *args, **kwargs)
    return repository


def runs_artifact_repository(artifact_uri: str, *args: Any, **kwargs: Any) -> ArtifactRepository:
    """Build the artifact repository of a `runs:/` URI.

    MLflow's own would also search the experiment for logged models at each call. In Azure ML they are
    artifacts of the run.
    """
    from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository

    repository = RunsArtifactRepository(artifact_uri, *args, **kwargs)
    of_run: Any = repository.repo
    if not of_run.artifact_uri.startswith("azureml:"):
        return repository
    from azureml_databricks.bridge.addresses import rest_of_a_name

    found: ArtifactRepository = of_run.with_newest_models().with_rest_of_a_name(
        rest_of_a_name(artifact_uri)[1]
    )
    return found


def provenance() -> RunContextProvider:
    """Return the provider of tags that say where a run came from."""
    from azureml_databricks.bridge.provenance import DatabricksProvenance

    return DatabricksProvenance()


def on_import() -> DefaultExperimentProvider:
    """Finish what the start-up hook began, now that MLflow is being imported.

    MLflow calls this while it registers its experiment providers, when its stores are registered already.
    Whatever the runtime has set since the interpreter started is put right once more.
    """
    from azureml_databricks.bridge import experiment

    failed = ""
    try:
        from azureml_databricks.bridge import late_session

        late_session.complete()
        late_session.keep_up()
    except Exception as error:  # noqa: BLE001  # `import mlflow` must not fail because of us
        failed = f"azureml-databricks itself failed, and what the Spark conf says may not count: {error!r}"
    _come_last()
    _tell_problems_at_first_use(failed)
    return experiment.put_first()


def _come_last() -> None:
    """Put our stores in place of those of MLflow and a user's own azureml-mlflow: what comes last counts."""
    import mlflow.entities
    from mlflow.store.artifact import artifact_repository_registry as artifacts
    from mlflow.tracking._model_registry import utils as model_registry
    from mlflow.tracking._tracking_service import utils as tracking

    tracking._tracking_store_registry.register("azureml", tracking_store)
    model_registry._get_store_registry().register("azureml", model_registry_store)
    artifacts._artifact_repository_registry.register("azureml", artifact_repository)
    if hasattr(mlflow.entities, "LoggedModel"):
        model_registry._get_store_registry().register("databricks-uc", unity_catalog_store)


def _tell_problems_at_first_use(failed: str) -> None:
    """Make every store tell of what is wrong before it is built, so that no run goes elsewhere silently."""
    from mlflow.exceptions import MlflowException
    from mlflow.tracking._model_registry import utils as model_registry
    from mlflow.tracking._tracking_service import utils as tracking

    told: set[str] = set()

    def tell() -> None:
        settings = variables.settings_now()
        problem = failed or settings.problem
        if problem and settings["onError"] == "fail":
            raise MlflowException(f"MLflow is not connected to Azure Machine Learning: {problem}")
        if problem and problem not in told:
            told.add(problem)
            _logger.warning(
                "MLflow is not connected to Azure Machine Learning, and works as it would without: %s",
                problem,
            )

    def telling(builder: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(builder)  # MLflow goes by its parameters
        def build(*args: Any, **kwargs: Any) -> Any:
            tell()
            return builder(*args, **kwargs)

        return build

    model_registries = model_registry._get_store_registry()
    registries: list[Any] = [tracking._tracking_store_registry, model_registries]
    for registry in registries:
        for scheme, builder in list(registry._registry.items()):
            # Whoever names a workspace by hand is connected; whom we failed, perhaps to another one.
            if failed or scheme != "azureml":
                registry.register(scheme, telling(builder))
