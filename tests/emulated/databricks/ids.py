"""Ids in the shapes that the workspace gives them, by which `journal.render` knows them."""

from __future__ import annotations

import secrets
import string
from datetime import datetime, timezone

WORKSPACE_ID = "1234567890123456"
WORKSPACE_URL = f"https://adb-{WORKSPACE_ID}.16.azuredatabricks.net"
"""What a real workspace is called; requests go to `EmulatedDatabricks.host`.

Source: https://learn.microsoft.com/azure/databricks/workspace/workspace-details
"""


def new_number() -> int:
    """Return a job's, a run's or a task's id."""
    return 10**14 + secrets.randbelow(9 * 10**14)


def new_policy_id() -> str:
    return secrets.token_hex(8).upper()


def new_cluster_id() -> str:
    letters = string.ascii_lowercase + string.digits
    stamp = datetime.now(timezone.utc).strftime("%m%d-%H%M%S")
    return f"{stamp}-{''.join(secrets.choice(letters) for _ in range(8))}"
