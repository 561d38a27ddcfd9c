"""Runs on the node, in the notebook's own Python: what stands for Databricks' `/databricks/python_shell`.

It is laid on the node as the package `db_shell`, so its files name each other relatively.
"""
