"""What an admin's machine speaks to: the Databricks workspace, and Azure of the Azure ML workspace."""
