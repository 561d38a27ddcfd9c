"""The stories, in the environments of eight MLflow versions, against a plain server and the emulated Azure.

`environments.py` makes an environment, `suite.py` runs the stories in it, `python -m
tests.matrices.mlflow_versions` does so for all and prints the table of the README.
"""
