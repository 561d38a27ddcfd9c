"""What a run of the command line imports that takes seconds."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import azure.ai.ml  # noqa: F401
    import azureml.mlflow  # noqa: F401 - which azure-ai-ml imports where it is installed
    import mlflow  # noqa: F401
