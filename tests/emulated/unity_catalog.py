"""What only Databricks has: the way to a service credential of Unity Catalog, in notebooks and in UDFs."""

from __future__ import annotations

from pathlib import Path

from tests.emulated.azure import EmulatedAzure

SERVICE_CREDENTIAL = "azureml"


def dbutils(azure: EmulatedAzure) -> str:
    """Return a notebook's first cell, which Databricks runs unseen: it has one service credential."""
    credentials = "SimpleNamespace(getServiceCredentialsProvider=getServiceCredentialsProvider)"
    return _provider(azure) + dbutils_with(credentials=credentials)


def dbutils_with(**attributes: str) -> str:
    """Return a first cell whose `dbutils` has attributes (source by name), and what MLflow asks on import."""
    entry_point = "SimpleNamespace(getDbutils=lambda: SimpleNamespace(notebook=SimpleNamespace))"
    of_dbutils = {"entry_point": entry_point, **attributes}
    arguments = ", ".join(f"{name}={source}" for name, source in of_dbutils.items())
    return f"from types import SimpleNamespace\ndbutils = SimpleNamespace({arguments})\n"


def put_for_udfs(azure: EmulatedAzure, folder: Path) -> dict[str, str]:
    """Put the module that UDFs use into a folder, and return the variable that makes processes find it."""
    package = folder / "databricks"
    package.mkdir(parents=True)
    # As databricks-sdk has it: the name is several distributions'.
    (package / "__init__.py").write_text("__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n")
    (package / "service_credentials.py").write_text(_provider(azure))
    return {"PYTHONPATH": str(folder)}


_PROVIDER = """\
def getServiceCredentialsProvider(name):
    from azure.identity import ClientSecretCredential

    if name == "forbidden":
        raise Exception(f"PERMISSION_DENIED: User does not have ACCESS on Credential '{{name}}'.")
    if name != {name!r}:
        raise Exception(f"CREDENTIAL_DOES_NOT_EXIST: Credential '{{name}}' does not exist.")
    return ClientSecretCredential(*{login!r})
"""


def _provider(azure: EmulatedAzure) -> str:
    # Behind a real one is an access connector's managed identity, whose tokens are Entra ID's too.
    principal = azure.principal
    login = (principal.tenant_id, principal.client_id, principal.client_secret)
    return _PROVIDER.format(name=SERVICE_CREDENTIAL, login=login)
