"""Aliases of registered models, where Azure ML's MLflow has none: each is a tag of the model then.

Nobody has told whether it has them. A process finds out when it first sets or reads one.
"""

from __future__ import annotations

from typing import Any

from mlflow.entities.model_registry import ModelVersion, RegisteredModelTag
from mlflow.exceptions import MlflowException

from azureml_databricks.bridge import unavailable

_TAG = "azureml_databricks.alias."
# Before the version's number, since Azure ML takes no bare numbers as values of a version's tags.
_VERSION = "version "


class KeptAliases:
    """A model registry store whose aliases are kept as tags where the service has no place for them."""

    _kept = False

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Give a version an alias, which no other version of the model has then."""
        if not self._by_service("set_registered_model_alias", name, alias, version):
            tag = RegisteredModelTag(_TAG + alias, f"{_VERSION}{version}")
            self.set_registered_model_tag(name, tag)  # type: ignore[attr-defined]  # MLflow's store has it

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Take an alias away."""
        if not self._by_service("delete_registered_model_alias", name, alias):
            self.delete_registered_model_tag(name, _TAG + alias)  # type: ignore[attr-defined]

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version that has an alias.

        Raises:
            MlflowException: none has it.
        """
        found = self._by_service("get_model_version_by_alias", name, alias)
        version: ModelVersion = found[0] if found else self._by_tag(name, alias)
        return version

    def with_kept_aliases(self, version: ModelVersion) -> ModelVersion:
        """Return a version with the aliases that are kept for it, once this process knows that they are."""
        if self._kept:
            aliases = self.get_registered_model(version.name).aliases  # type: ignore[attr-defined]
            of_version = [alias for alias, number in aliases.items() if str(number) == str(version.version)]
            version._aliases = of_version
        return version

    def _by_tag(self, name: str, alias: str) -> Any:
        aliases = self.get_registered_model(name).aliases  # type: ignore[attr-defined]  # MLflow's store has it
        if alias not in aliases:
            raise MlflowException.invalid_parameter_value(f"Registered model alias {alias} not found.")
        return self.get_model_version(name, aliases[alias])  # type: ignore[attr-defined]

    def _by_service(self, method: str, *args: Any) -> list[Any]:
        """Return what the service answers, empty where it has no aliases."""
        if self._kept:
            return []
        try:
            return [getattr(super(), method)(*args)]
        except MlflowException as error:
            if not unavailable.is_missing(error):
                raise
            self._kept = True
            return []


def restore(model: Any) -> None:
    """Make aliases of the tags that stand for them, in MLflow's own message of a registered model."""
    for tag in [tag for tag in model.tags if tag.key.startswith(_TAG)]:
        model.aliases.add(alias=tag.key[len(_TAG) :], version=tag.value[len(_VERSION) :])
        model.tags.remove(tag)
