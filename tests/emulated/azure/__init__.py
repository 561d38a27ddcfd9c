"""An Azure of this machine's own, for tests: unmodified clients, real host names, real protocols.

A client (azure-identity, azure-ai-ml, azureml-mlflow, azure-storage-blob) is given
``EmulatedAzure(...).environment`` and then speaks to ``login.microsoftonline.com`` and the other
hosts of Azure as always. Its requests go this way::

    client --CONNECT--> tunnel.py --TLS--> gateway.py
                        (other hosts:      (journal, faults, service by host)
                         refused)            |
                                             +-- login.py       Entra ID: tokens
                                             |     +-- federation.py   for others' tokens
                                             +-- management.py  ARM: the workspace
                                             +-- api.py         Azure ML's data plane
                                             |     +-- tracking.py   MLflow's REST, with limits
                                             |     |     +-- mlflow_server.py   a real MLflow
                                             |     +-- artifacts.py  paths in, SAS addresses out
                                             +-- blobs.py       Azure Blob Storage
                                                   +-- azurite.py    a real Azurite

A node's managed identities are asked without a proxy (imds.py): ``EmulatedAzure(...).identity_endpoint``
says where.

To add an endpoint, add a route to the service's module; to add a limit, a rule to
``tracking.RULES``. To make a call fail or hang, a test says ``azure.faults.add(...)``; to count
calls it reads ``azure.journal``. What is emulated from a report of Azure ML's users, rather than
from a client's source, says so where it is written.
"""

from __future__ import annotations

from tests.emulated.azure.clouds import CHINA, PUBLIC, US_GOVERNMENT, Cloud
from tests.emulated.azure.emulator import EmulatedAzure

__all__ = ["CHINA", "PUBLIC", "US_GOVERNMENT", "Cloud", "EmulatedAzure"]
