"""A Databricks node on this machine, for tests: real paths, a real init script, a real kernel.

A node is made of layers, the upper hiding the lower::

    upper       what happens on the node; gone with it            overlay.py, changes.py
    fresh       empty homes and /tmp: no developer's machine      holder.py
    Spark       /databricks/spark, on nodes of a Spark cluster    ../spark/distribution.py
    replica     /databricks, with a runtime's exact packages      replica.py, from ../runtimes/*.txt
    /           this machine, with its distribution's Python      interpreter.py

They are mounted in a namespace of their own, with a /dev/shm of its own, and entered by chroot. Where
this machine permits no overlay, or `TEST_NODE=prefix`, the same files are copied under a prefix
(prefix.py), and `Node.cannot` says what such a node lacks::

    with boot(Replica(Runtime.load("15.4"))) as node:
        node.copy_in(script, "/Volumes/main/default/scripts/x.sh")
        assert node.run_init_script("/Volumes/main/default/scripts/x.sh").returncode == 0
        print(node.changes())
        node.run_notebook(["import sklearn"])

To add a runtime, add its list to `tests/emulated/runtimes`, headed as the others are, and mark what cannot be
installed: uv names it.
"""

from __future__ import annotations

from tests.emulated.node.boot import boot
from tests.emulated.node.node import Node, NodeError
from tests.emulated.node.replica import Replica
from tests.emulated.node.runtime import Runtime

__all__ = ["Node", "NodeError", "Replica", "Runtime", "boot"]
