"""A Databricks node on this machine, for tests: real paths, a real init script, a real kernel.

How it works, what it does not do, how to add to it: README.md beside this file.
"""

from __future__ import annotations

from tests.emulated.node.boot import boot
from tests.emulated.node.node import Node, NodeError
from tests.emulated.node.replica import Replica
from tests.emulated.node.runtime import Runtime

__all__ = ["Node", "NodeError", "Replica", "Runtime", "boot"]
