"""What a deployment is made of in the Databricks workspace, a file for each kind of object.

Each compares what is wanted with what is there, and yields the changes (`changes.py`) that make it so. A new
kind is a file beside them, which `commands/deploy.py` asks in its turn.
"""
