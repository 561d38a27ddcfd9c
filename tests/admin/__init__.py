"""`azureml-databricks`, run as an admin runs it, against an emulated Databricks and an emulated Azure."""
