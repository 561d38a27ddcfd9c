"""An Azure Databricks workspace of this machine's own, for tests: unmodified clients, real requests.

A client (databricks-sdk, in whatever process) is given ``EmulatedDatabricks(...).environment`` and then
uses the workspace as always. Its requests go this way::

    client --HTTP--> journal.py: Recorder (bodies, faults)
                       |
                     callers.py: whose token, which rights
                       |
                       +-- allowlists.py           Unity Catalog's artifact allowlist
                       +-- service_credentials.py  Unity Catalog's credentials
                       +-- policies.py             policies, families, who may use them
                       +-- clusters.py, jobs.py    specs under policies (definitions.py)
                       +-- compliance.py           of clusters and jobs with their policies
                       +-- runs.py                 one-time runs, each on a cluster of its own
                       +-- workspace_files.py      files under /Workspace
                       +-- vault.py, volumes.py    who may do what with secrets, volumes, files
                             +-- minilake.py       a real minilake, for these and all the rest

A token belongs to a `Caller`. An admin may do everything but what the test takes away::

    with EmulatedDatabricks(folder) as databricks:
        somebody = databricks.another_admin("eve@contoso.com", lacks=["manage allowlist"])
        databricks.client(somebody).artifact_allowlists.get(...)     # PermissionDenied
        databricks.faults.add(skip=3, times=1, cut=True, after=True) # the fourth call; its answer is lost
        print(databricks.recorded())                                 # for a golden file

What a policy makes of a cluster is seen on a node (`tests.emulated.node`) that is booted from what the API
gives back, as the user who made the cluster::

    with started_cluster(databricks, policy_id, who=ann, azure=azure, node_type_id="...") as node:
        node.run_notebook(["import mlflow", ...])

``started_spark_cluster`` boots the driver and the workers, with Spark across them.

A one-time run (``client.jobs.submit``) boots one as well, and runs its Python file there.

To add an endpoint, add a route to the service's module; paths and fields are those of databricks-sdk's
source. What is emulated from a report of Databricks' users, or is worded by us, says so where it is written.

A catalog cannot be called `main`, `system` or `temp` here: minilake's DuckDB keeps these names for itself.
"""

from __future__ import annotations

from tests.emulated.databricks.callers import Caller
from tests.emulated.databricks.cluster import LaunchError, started_cluster, started_spark_cluster
from tests.emulated.databricks.emulator import EmulatedDatabricks

__all__ = ["Caller", "EmulatedDatabricks", "LaunchError", "started_cluster", "started_spark_cluster"]
