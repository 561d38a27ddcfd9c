"""azureml-databricks: MLflow on a Databricks cluster, pointed at an Azure Machine Learning workspace.

`settings` and `tracking_uri` are shared. `node` is what a cluster node runs (standard library only),
`bridge` is what MLflow calls there, `checkup` is the doctor, `admin` is what an admin runs elsewhere.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azureml_databricks.checkup.report import Report


def doctor() -> "Report":
    """Look at everything between this process and Azure ML, and say what is wrong and what to do.

    It writes a run, an artifact and a registered model to the workspace, reads them back and deletes them.
    Where there is a Spark session, every executor does its part. It takes some ten seconds.

    Returns:
        The report: a table in a notebook, lines where it is printed; `.findings` and `.well` for code.
    """
    from azureml_databricks.checkup import examination  # a start of Python imports none of it

    return examination.whole()
