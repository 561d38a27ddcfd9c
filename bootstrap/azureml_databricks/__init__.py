"""azureml-databricks: MLflow on a Databricks cluster, pointed at an Azure Machine Learning workspace.

`settings` and `tracking_uri` are shared. `node` is what a cluster node runs (standard library only),
`bridge` is what MLflow calls there, `admin` is what an admin runs elsewhere.
"""
