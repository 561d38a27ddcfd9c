"""What MLflow calls on a node, through the entry points in `entry_points.txt`.

The bundle carries these in place of azureml-mlflow's own, which would import azure-identity and its
company, 0.3 s of it, at every `import mlflow`. Ours import on first use.
"""
