"""Models of Azure ML's runs in Unity Catalog, with MLflow 3.

Unity Catalog knows Databricks' own logged models only. MLflow 3.0 to 3.5 send it the id of any:
https://github.com/mlflow/mlflow/issues/18194
"""

from __future__ import annotations

from collections.abc import Sequence

import mlflow
from mlflow.entities.model_registry import ModelVersion, ModelVersionTag
from mlflow.store._unity_catalog.registry.rest_store import UcModelRegistryStore

from azureml_databricks.bridge import logged_models


class UnityCatalogStore(UcModelRegistryStore):
    """MLflow's store of Unity Catalog's models."""

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Sequence[ModelVersionTag] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Register a model; one that is kept in Azure ML by its place and its run, as later versions do."""
        if model_id and logged_models.is_kept(model_id):
            logged = mlflow.MlflowClient(self.tracking_uri).get_logged_model(model_id)
            source, run_id, model_id = logged.artifact_location, run_id or logged.source_run_id, None
        return super().create_model_version(
            name, source, run_id, tags, run_link, description, local_model_path, model_id
        )
