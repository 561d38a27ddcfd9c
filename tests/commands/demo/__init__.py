"""The demo: a node under our policy, a notebook with no line of Azure in it, and what came of it."""
