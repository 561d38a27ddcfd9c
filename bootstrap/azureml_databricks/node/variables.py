"""Which variables a process should have, from its settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from azureml_databricks.node import laid_down, spark_conf
from azureml_databricks.settings import BY_NAME, ENV_PREFIX, Settings, Value
from azureml_databricks.tracking_uri import cloud_of

# What Databricks presets on a fresh cluster; any other value is somebody's choice.
_TRACKING_PRESET = "databricks"
_REGISTRY_PRESETS = ("databricks-uc", "databricks")
_CLOUD = BY_NAME["cloud"].variable

_Overrides = dict[str, tuple[str, tuple[str, ...]]]
# What is wanted, as a process has its variables: each with its text, set where one of the presets stands, or
# whatever there is.
Encoded = list[tuple[bytes, bytes, tuple[bytes, ...] | None]]

# What this process has had from us before its Spark conf was known, or from another task's: nobody's choice.
_uris: set[str] = set()
_clouds: set[str] = set()
_given: dict[str, str] = {}


class Wanted(NamedTuple):
    """The variables to set.

    Attributes:
        exports: name -> text, set where the variable is unset or empty.
        overrides: name -> (text, presets), set where the variable's text is one of the presets.
        given: name -> text of the Spark conf, set whatever the variable has.
    """

    exports: dict[str, str]
    overrides: _Overrides
    given: dict[str, str]

    def encoded(self) -> Encoded:
        """Return it as `apply` takes it."""
        encode = os.fsencode
        return [
            *((encode(name), encode(text), (b"",)) for name, text in self.exports.items()),
            *((encode(name), encode(text), None) for name, text in self.given.items()),
            *(
                (encode(name), encode(text), tuple(map(encode, presets)))
                for name, (text, presets) in self.overrides.items()
            ),
        ]

    def __repr__(self) -> str:
        names = [*self.exports, *self.overrides, *self.given]
        return f"Wanted({', '.join(names)})"


def settings_now() -> Settings:
    """Return the settings of this process as they are now."""
    environ = dict(os.environ)
    node = _of_the_node()
    if not node["cloud"] and environ.get(_CLOUD) in {_cloud(node), *_clouds}:
        # We, or a parent of ours, exported what follows from a tracking URI: nobody's choice.
        del environ[_CLOUD]
    return Settings(environ, _known(), laid_down.FILE_PROBLEM, spark_conf.settings())


def wanted_now() -> Wanted | None:
    """Return the variables that this process should have, None where there shall be nothing of ours.

    What the Spark conf gives is wanted once: whoever changes such a variable afterwards is left alone.
    """
    settings = settings_now()
    ours = _uris | ({_uri(_of_the_node())} - {""})
    if settings["enabled"] == "false":
        _give_back(ours)
    now = wanted(settings, _known(), tuple(ours))
    if now:
        _uris.update({_uri(settings)} - {""})
        _clouds.update({_cloud(settings)} - {""})
        new = {name: text for name, text in now.given.items() if _given.get(name) != text}
        _given.update(new)
        now = now._replace(given=new)
    return now


def wanted(settings: Settings, known: Mapping[str, Value], inherited: tuple[str, ...] = ()) -> Wanted | None:
    """Return the variables that follow from `settings`, none if nobody asks or one is wrong.

    None if there shall be nothing of ours; else the bundle is there for a Spark session that asks later.

    Args:
        settings: of the process.
        known: what the node laid down, by setting name.
        inherited: the tracking URIs that we, or a parent of ours, have exported: nobody's choice either.
    """
    if settings["enabled"] == "false":
        return None
    if not settings.asked or settings.problem:
        return Wanted({}, {}, {})
    exports = {_variable(name): value.text for name, value in known.items()}
    overrides = _overrides(_uri(settings), settings["mode"], inherited)
    # Without it the plugin asks management.azure.com which clouds there are.
    overrides[_CLOUD] = (_cloud(settings), ("", *BY_NAME["cloud"].choices))
    return Wanted(exports, overrides, given(settings))


def given(settings: Settings) -> dict[str, str]:
    """Return the variables that the Spark conf gives."""
    return {_variable(name): value.text for name, value in settings.spark.items() if "\0" not in value.text}


def forget_given() -> None:
    """Want anew what a Spark conf gives: it is another one's from now on."""
    _given.clear()


@cache
def _known() -> dict[str, Value]:
    return {name: Value(*value) for name, value in laid_down.VALUES.items()}


@cache
def _of_the_node() -> Settings:
    # Asked at every request to Azure, by the credential: what was laid down does not change in a process.
    return Settings({}, _known(), laid_down.FILE_PROBLEM)


def _uri(settings: Settings) -> str:
    return settings.workspace().tracking_uri if settings.asked and not settings.problem else ""


def _cloud(settings: Settings) -> str:
    if not settings.asked or settings.problem:
        return ""
    return settings["cloud"] or cloud_of(settings.workspace()) or "AzureCloud"


def _overrides(uri: str, mode: str, inherited: tuple[str, ...]) -> _Overrides:
    tracking = ("", _TRACKING_PRESET, *inherited)
    registry = ("", *_REGISTRY_PRESETS, *inherited)
    overrides: _Overrides = {"MLFLOW_TRACKING_URI": (uri, tracking), "MLFLOW_REGISTRY_URI": (uri, registry)}
    if mode == "registry":
        overrides["MLFLOW_TRACKING_URI"] = (_TRACKING_PRESET, inherited)
    if mode == "tracking":
        # Unset, MLflow would take the tracking URI for the registry too.
        overrides["MLFLOW_REGISTRY_URI"] = (_REGISTRY_PRESETS[0], ("", *inherited))
    return overrides


def _give_back(ours: set[str]) -> None:
    """Undo in this process that the URIs in `ours` were exported."""
    presets = {"MLFLOW_TRACKING_URI": _TRACKING_PRESET, "MLFLOW_REGISTRY_URI": _REGISTRY_PRESETS[0]}
    for name, preset in presets.items():
        if os.environ.get(name) in ours:
            os.environ[name] = preset


def _variable(name: str) -> str:
    return name[len(ENV_PREFIX) :] if name.startswith(ENV_PREFIX) else BY_NAME[name].variable
