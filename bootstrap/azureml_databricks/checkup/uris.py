"""Where MLflow sends runs and models from this process, and who has decided that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from azureml_databricks.checkup.findings import Finding, Part
from azureml_databricks.node import variables

PART = Part("URIs")


@dataclass(frozen=True)
class _Uri:
    """One of MLflow's two.

    Attributes:
        what: its name.
        now: what MLflow has.
        set_by_call: what a setter was called with, None if none was.
        setter: that function's name.
        variable: by which it can be set, too.
    """

    what: str
    now: str
    set_by_call: str | None
    setter: str
    variable: str


def findings() -> Iterator[Finding]:
    """Yield for both URIs whether they are what the settings want."""
    wanted = variables.wanted(variables.settings_now(), {})
    overrides = wanted.overrides if wanted else {}
    for uri in _now():
        text, _ = overrides[uri.variable]
        yield _of(uri, text)


def _now() -> tuple[_Uri, _Uri]:
    import mlflow
    from mlflow.tracking._model_registry import utils as registry
    from mlflow.tracking._tracking_service import utils as tracking

    return (
        _Uri(
            "tracking URI",
            mlflow.get_tracking_uri(),
            tracking._tracking_uri,
            "mlflow.set_tracking_uri",
            "MLFLOW_TRACKING_URI",
        ),
        _Uri(
            "registry URI",
            mlflow.get_registry_uri(),
            registry._registry_uri,
            "mlflow.set_registry_uri",
            "MLFLOW_REGISTRY_URI",
        ),
    )


def _of(uri: _Uri, wanted: str) -> Finding:
    if uri.now == wanted:
        return PART.ok(uri.what, uri.now)
    if not wanted.startswith("azureml:"):
        return PART.ok(uri.what, f"{uri.now}, which is not ours to set in this mode")
    if uri.set_by_call is not None:
        return PART.note(
            uri.what,
            f"{uri.now}: {uri.setter} was called in this process, and that choice is kept",
            f"to undo it, take the call out and restart Python, or call {uri.setter}({wanted!r})",
        )
    if os.environ.get(uri.variable) == uri.now and not uri.now.startswith("databricks"):
        return PART.note(
            uri.what,
            f"{uri.now}: {uri.variable} was set to it, and that choice is kept",
            f"to undo it, take {uri.variable} out of the cell, or of the cluster's variables, that sets it",
        )
    return PART.wrong(
        uri.what,
        f"{uri.now} instead of {wanted}: no hook of ours has set {uri.variable} in this process",
        f"see the hooks above; in the meantime, call {uri.setter}({wanted!r})",
    )
