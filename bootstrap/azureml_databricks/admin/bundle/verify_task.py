"""What `verify` runs on a cluster under the policy: the doctor, from the bundle that is in service there.

It is uploaded with each release. Its last line has the report, as JSON.
"""

from __future__ import annotations

import json

NOT_IN_SERVICE = {
    "part": "bundle",
    "what": "in service",
    "verdict": "wrong",
    "detail": "none: the init script put nothing into service on the cluster, or a setting switches it off",
    "advice": "see the init script's log, in the cluster's log folder or on its page under Event log",
}


def report() -> str:
    """Return the doctor's report as JSON, or the one finding that there is no doctor."""
    try:
        from azureml_databricks import doctor
    except ModuleNotFoundError:
        return json.dumps({"findings": [NOT_IN_SERVICE]})
    return doctor().json()


if __name__ == "__main__":
    print("\nazureml-databricks verify:", report())
