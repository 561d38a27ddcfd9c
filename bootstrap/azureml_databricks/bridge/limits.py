"""What a run of Azure ML holds, as far as it is known: the one table.

Nothing here is sent to the service as a fact about it: it may hold more or less, and `sending.py` goes by
what it refuses.
"""

from __future__ import annotations

import re

from mlflow.exceptions import MlflowException

# https://github.com/Azure/azure-sdk-for-python/issues/35685: "FieldName=Parameters, Limit=200, Size=210".
PARAMS = 200
# Reported: https://github.com/Galileo-Galilei/kedro-mlflow/issues/551. One too long loses the whole request.
PARAM_VALUE = 500
# https://learn.microsoft.com/azure/machine-learning/resource-limits-capacity, for these five.
TAGS = 50
TAG_KEY = 100
TAG_VALUE = 1000
RUN_NAME = 256
METRIC_NAMES = 50
# Reported, as the length of a param: the most that one request may hold. That it may hold 250 values of
# one metric (https://github.com/mlflow/mlflow/issues/11462) is then true of itself.
METRICS_AT_ONCE, PARAMS_AT_ONCE, TAGS_AT_ONCE = 200, 100, 100
# Reported: https://github.com/mlflow/mlflow/issues/10694. A page of a metric's history has fewer than 1,000.
HISTORY_PAGE = 999
SEARCH_PAGE = 1000

# How the service names a limit that was met.
_MET = re.compile(r"\bLimit=\d+")
_REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


def require_page(size: int, largest: int) -> None:
    """Refuse a page of a search that MLflow's own server refuses.

    Raises:
        MlflowException: in MLflow's words.
    """
    if not isinstance(size, int) or size < 1:
        raise MlflowException.invalid_parameter_value(
            f"Invalid value for max_results. It must be a positive integer, but got {size}"
        )
    if size > largest:
        raise MlflowException.invalid_parameter_value(
            f"Invalid value for request parameter max_results. It must be at most {largest}, "
            f"but got value {size}"
        )


def length(text: str) -> int:
    """Return how long a text is to a service on .NET: in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def head(text: str, limit: int) -> str:
    """Return as much of the beginning of `text` as `limit` allows."""
    return text.encode("utf-16-le", "surrogatepass")[: 2 * limit].decode("utf-16-le", "ignore")


def is_met(error: MlflowException) -> bool:
    """Whether the service says that a limit is met."""
    return _MET.search(str(error)) is not None


def may_be_met(error: MlflowException) -> bool:
    """Whether a limit can be why the service refuses."""
    return is_met(error) or error.error_code in _REFUSED
