"""The one table of settings, and how a process reads it.

A setting has a name, a key in the Spark conf (`spark.azureml.` and the name) and a variable. A process takes
a value from the Spark conf, else from its variables, else from what the node laid down at install time (the
settings file beside the bundle, the cluster's variables), else the default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from azureml_databricks import tracking_uri as uris

ENV_PREFIX = "env."
SPARK_PREFIX = "spark.azureml."


class SettingError(ValueError):
    """A setting that cannot be: its name, the value seen, its origin and what to do, in one line."""


@dataclass(frozen=True)
class Setting:
    """One row of the table.

    Attributes:
        name: as in the settings file.
        variable: the environment variable.
        help: one line for the docs.
        default: the text that stands where nothing is given; empty for none.
        choices: the texts allowed; empty if any is.
        placeholders: what in braces the text may have, which is filled in where it is used.
        secret: whether the value must never be written down or shown.
        shapes_uri: whether MLflow's URIs follow from it.
    """

    name: str
    variable: str
    help: str
    default: str = ""
    choices: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()
    secret: bool = False
    shapes_uri: bool = False


@dataclass(frozen=True)
class Value:
    """A setting's text, and where it came from, in words that an error can use."""

    text: str = field(repr=False)
    key: str
    origin: str


# `auth` -> the settings without which it cannot log in.
NEEDED_FOR_LOGIN: dict[str, tuple[str, ...]] = {
    "service-principal": ("tenantId", "clientId", "clientSecret"),
    "managed-identity": (),
    "workload-identity": ("tenantId", "clientId", "federatedTokenFile"),
    "service-credential": ("serviceCredential",),
}

TABLE = (
    Setting(
        "enabled",
        "AZUREML_ENABLED",
        "`false` leaves every Python as if nothing were installed.",
        default="true",
        choices=("true", "false"),
        shapes_uri=True,
    ),
    Setting(
        "mode",
        "AZUREML_MODE",
        "`full`: runs and models go to Azure ML. `tracking`: runs only. `registry`: models only.",
        default="full",
        choices=("full", "tracking", "registry"),
        shapes_uri=True,
    ),
    Setting(
        "trackingUri",
        "AZUREML_TRACKING_URI",
        "The workspace's MLflow tracking URI. Instead of it, the next four can be given.",
        shapes_uri=True,
    ),
    Setting(
        "subscriptionId",
        "AZUREML_SUBSCRIPTION_ID",
        "The workspace's subscription, a GUID.",
        shapes_uri=True,
    ),
    Setting(
        "resourceGroup",
        "AZUREML_RESOURCE_GROUP",
        "The workspace's resource group.",
        shapes_uri=True,
    ),
    Setting("workspaceName", "AZUREML_WORKSPACE_NAME", "The workspace's name.", shapes_uri=True),
    Setting(
        "region",
        "AZUREML_REGION",
        "The workspace's region, such as `westeurope`.",
        shapes_uri=True,
    ),
    Setting(
        "cloud",
        "AZUREML_CURRENT_CLOUD",
        "The Azure cloud. Default: the one whose domain the tracking URI is in, else `AzureCloud`.",
        choices=tuple(uris.API_DOMAINS),
        shapes_uri=True,
    ),
    Setting(
        "auth",
        "AZUREML_AUTH",
        "How to log in to Azure. `service-principal`: with a client secret. `managed-identity`: one of the "
        "node's. `workload-identity`: with a token in a file. `service-credential`: Unity Catalog's.",
        default="service-principal",
        choices=tuple(NEEDED_FOR_LOGIN),
    ),
    Setting("tenantId", "AZURE_TENANT_ID", "The Entra ID tenant to log in to."),
    Setting(
        "clientId",
        "AZURE_CLIENT_ID",
        "The application (client) ID of the service principal, or of the identity.",
    ),
    Setting(
        "clientSecret",
        "AZURE_CLIENT_SECRET",
        "The service principal's secret, only ever as `{{secrets/scope/key}}` in the policy.",
        secret=True,
    ),
    Setting(
        "federatedTokenFile",
        "AZURE_FEDERATED_TOKEN_FILE",
        "The file whose token a federated credential of `clientId` trusts, for `workload-identity`.",
    ),
    Setting(
        "serviceCredential",
        "DATABRICKS_DEFAULT_SERVICE_CREDENTIAL_NAME",
        "The name of the service credential in Unity Catalog, for `service-credential`.",
    ),
    Setting(
        "experiment",
        "AZUREML_EXPERIMENT",
        "The experiment of code that sets none, such as `{user}-{notebook}`. Default: the notebook's or the "
        "job's name.",
        placeholders=("{user}", "{notebook}"),
    ),
    Setting(
        "experimentPaths",
        "AZUREML_EXPERIMENT_PATHS",
        "What of a path is an experiment's name. `last`: `/Users/ada/churn` is `churn`. `whole`: paths that "
        "end alike are experiments of their own.",
        default="last",
        choices=("last", "whole"),
    ),
    Setting(
        "asyncLogging",
        "MLFLOW_ENABLE_ASYNC_LOGGING",
        "`true`: `log_metric` and its like do not wait for Azure. Off by default, since "
        "[a killed process](docs/mlflow.md#logging-in-the-background) then loses what waits.",
        default="false",
        # As MLflow reads its variable, which any process may have set.
        choices=("true", "false", "1", "0", "True", "False", "TRUE", "FALSE"),
    ),
    Setting(
        "onError",
        "AZUREML_ON_ERROR",
        "`warn`: the first use of MLflow tells what is wrong, all else runs as if we were not there. "
        "`fail`: the cluster does not start, and MLflow raises.",
        default="warn",
        choices=("warn", "fail"),
    ),
)
BY_NAME = {setting.name: setting for setting in TABLE}


# By whole words: TOKENIZERS_PARALLELISM is no secret.
_SECRET_WORDS = {
    *("SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "PWD", "PASS", "PASSPHRASE", "PAT", "TOKEN"),
    *("KEY", "KEYS", "SAS", "SIGNATURE", "CREDENTIAL", "CREDENTIALS", "CREDS", "AUTHORIZATION", "BEARER"),
    *("COOKIE", "CONNSTR", "JWT"),
}
# Two words in one, and two that are one.
_SECRET_ENDS = (
    "PASSWORD",
    "SECRET",
    "TOKEN",
    "APIKEY",
    "ACCESSKEY",
    "ACCOUNTKEY",
    "PRIVATEKEY",
    "CONNECTION_STRING",
)
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Texts that are secrets, whatever their name is: an address with a password, those of Azure's services, a
# token, a private key.
_SECRET_TEXT = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|(?:Account|SharedAccess|Access)Key=|SharedAccessSignature|[?&;]sig=|^sig="
    r"|(?:^|;)\s*(?:Password|Pwd)=|-----BEGIN [A-Z ]*PRIVATE KEY|\bBearer\s+\S|\beyJ[\w-]{10,}\.[\w-]+\."
    r"|\bdapi[0-9a-f]{32}",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\{\w*\}")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_name(name: str, origin: str, prefix: str = "") -> None:
    """Refuse a name that is neither a setting's nor a further variable's.

    Args:
        name: without the prefix.
        origin: where it was found.
        prefix: of all names there.

    Raises:
        SettingError: it names the nearest setting.
    """
    variable = name.removeprefix(ENV_PREFIX)
    if name != variable:
        if not _VARIABLE_NAME.fullmatch(variable):
            raise SettingError(f"{prefix}{name} ({origin}): {variable!r} is no name for a variable")
        for setting in TABLE:
            if variable == setting.variable and not setting.secret:
                raise SettingError(
                    f"{prefix}{name} ({origin}) is the setting {prefix}{setting.name}: write that"
                )
    elif name not in BY_NAME:
        import difflib  # processes that read their settings at start do without

        variables = {setting.variable: setting.name for setting in TABLE}
        near = difflib.get_close_matches(name, [*BY_NAME, *variables], n=1, cutoff=0.5)
        hint = (
            f"did you mean {prefix}{variables.get(near[0], near[0])}?"
            if near
            else f"the settings are {', '.join(BY_NAME)}, env.NAME"
        )
        raise SettingError(f"{prefix}{name} ({origin}) is not a setting: {hint}")


def check_of_file(name: str, origin: str, text: str = "") -> None:
    """Refuse a name and a text that no settings file may have.

    Raises:
        SettingError: it is not in the table (the nearest that is gets named), or it is a secret, or it is an
            ID that is none, whose text is not shown, since it could be the secret.
    """
    check_name(name, origin)
    if text and is_misplaced(name, text):
        form = "a GUID" if name == "clientId" else "a GUID, or a domain of the tenant"
        raise SettingError(
            f"{name} ({origin}) is no {BY_NAME[name].variable}, which is {form}: take it from the app "
            "registration's page (what is there is not shown, since it could be the secret)"
        )
    if is_secret(name, text):
        raise SettingError(
            f"{name} ({origin}): a secret is in no file of ours; "
            "give it in the policy as spark_env_vars, {{secrets/scope/key}}"
        )


def is_secret(name: str, text: str = "") -> bool:
    """Return whether the text of a setting, or of a further variable (`env.NAME`), must not be shown."""
    if (name in BY_NAME and BY_NAME[name].secret) or _SECRET_TEXT.search(text):
        return True
    if name in BY_NAME:
        return bool(text) and is_misplaced(name, text)
    words = _WORD_BEGINS.sub("_", name.removeprefix(ENV_PREFIX)).upper()
    return bool(_SECRET_WORDS & set(words.split("_"))) or words.endswith(_SECRET_ENDS)


def is_misplaced(name: str, text: str) -> bool:
    """Return whether an ID's text is none: where the keys in a scope were swapped, it is the secret."""
    forms = {"clientId": (_GUID,), "tenantId": (_GUID, _DOMAIN)}.get(name)
    return forms is not None and not any(form.fullmatch(text) for form in forms)


class Settings:
    """The settings of one process, and where each came from.

    Attributes:
        values: by setting name.
        spark: what the Spark conf says, by setting name or `env.NAME`.
    """

    WORKSPACE_PARTS = ("subscriptionId", "resourceGroup", "workspaceName", "region")
    SERVICE_PRINCIPAL = NEEDED_FOR_LOGIN["service-principal"]

    def __init__(
        self,
        environ: Mapping[str, str],
        laid_down: Mapping[str, Value],
        file_problem: str = "",
        spark: Mapping[str, Value] | None = None,
    ) -> None:
        """Read them; an empty variable counts as not set.

        Args:
            environ: the process's variables.
            laid_down: what the node knew at install time, by setting name.
            file_problem: what is wrong with the settings file as such, empty for nothing.
            spark: what the Spark conf says, by setting name or `env.NAME`; None for nothing.
        """
        self._file_problem = file_problem
        self._of_the_file = _uri_of_the_file(laid_down)
        self.spark = spark or {}
        self.values: dict[str, Value] = {}
        for setting in TABLE:
            text = environ.get(setting.variable, "")
            known = laid_down.get(setting.name)
            if setting.name in self.spark:
                self.values[setting.name] = self.spark[setting.name]
                continue
            # A process exports what was laid down: in its children that is no choice of theirs.
            if text and (known is None or known.text != text):
                value = Value(text, setting.variable, "a variable of this process")
            else:
                value = known or Value(setting.default, setting.name, "the default")
            self.values[setting.name] = value

    def __getitem__(self, name: str) -> str:
        return self.values[name].text

    def error(self, name: str, what: str) -> SettingError:
        """Return the error that says what is wrong with a setting's value, never showing a secret."""
        value = self.values[name]
        if not value.text:
            return SettingError(f"{name} is not set: {what}")
        shown = "***" if is_secret(name, value.text) else repr(value.text)
        return SettingError(f"{value.key} ({value.origin}) is {shown}: {what}")

    @property
    def asked(self) -> bool:
        """Whether anybody wants Azure ML here: a workspace is named, and nobody said `enabled=false`."""
        named = any(self[name] for name in ("trackingUri", *self.WORKSPACE_PARTS))
        return self["enabled"] != "false" and (named or bool(self._file_problem))

    def trusts(self, host: str) -> bool:
        """Return whether a host may get the login: it is Azure ML's, or the admin's file names it."""
        return uris.is_azures(host) or (self._of_the_file is not None and self._of_the_file.host == host)

    @property
    def missing_for_login(self) -> list[str]:
        """The variables without which `auth` cannot log in, and which have no value."""
        needed = NEEDED_FOR_LOGIN.get(self["auth"], ())
        return [BY_NAME[name].variable for name in needed if not self[name]]

    @property
    def problem(self) -> str:
        """What keeps this process from Azure ML, in one line; empty where nothing does, or nobody asked."""
        if not self.asked:
            return ""
        if self._file_problem:
            return self._file_problem
        try:
            self.workspace()
        except SettingError as wrong:
            return str(wrong)
        return ""

    def check_texts(self) -> None:
        """Refuse a text that is none of its setting's choices, or has a placeholder that is none.

        Raises:
            SettingError: it names those that there are.
        """
        for setting in TABLE:
            text = self[setting.name]
            if setting.choices and text and text not in setting.choices:
                raise self.error(setting.name, f"use one of {', '.join(setting.choices)}")
            if setting.placeholders and "{" in text:
                for found in _PLACEHOLDER.findall(text):
                    if found not in setting.placeholders:
                        known = " and ".join(setting.placeholders)
                        raise self.error(setting.name, f"{found} stands for nothing; there are {known}")

    def workspace(self) -> uris.Workspace:
        """Return the workspace that these settings point at.

        Raises:
            SettingError: a setting has a text that it cannot have, or too few are given.
        """
        self.check_texts()
        return self._given() if self["trackingUri"] else self._composed()

    def _given(self) -> uris.Workspace:
        try:
            workspace = uris.parse(self["trackingUri"])
        except uris.TrackingUriError as wrong:
            raise self.error("trackingUri", str(wrong)) from None
        if not self.trusts(workspace.host):
            raise self.error("trackingUri", foreign(workspace.host))
        cloud = uris.cloud_of(workspace)
        if cloud and self["cloud"] not in ("", cloud):
            raise self.error("cloud", f"the tracking URI's host {workspace.host} is in {cloud}; leave it out")
        return workspace

    def _composed(self) -> uris.Workspace:
        for name in self.WORKSPACE_PARTS:
            if not self[name]:
                raise self.error(
                    name, f"the workspace needs {', '.join(self.WORKSPACE_PARTS)}, or trackingUri alone"
                )
        try:
            return uris.compose(
                region=self["region"],
                subscription_id=self["subscriptionId"],
                resource_group=self["resourceGroup"],
                name=self["workspaceName"],
                cloud=self["cloud"] or "AzureCloud",
            )
        except uris.TrackingUriError as wrong:
            raise self.error(wrong.part, str(wrong)) from None


def foreign(host: str) -> str:
    """Say that a host gets no login, and what to do."""
    return (
        f"host {host!r} is none of Azure Machine Learning's, and no login goes there; take the tracking URI "
        "from the workspace's overview page, or name it in the admin's settings file (trackingUri)"
    )


def _uri_of_the_file(laid_down: Mapping[str, Value]) -> uris.Workspace | None:
    """Return the workspace that the admin's file names, None where it is a variable that names it."""
    value = laid_down.get("trackingUri")
    if value is None or value.key != "trackingUri":
        return None
    try:
        return uris.parse(value.text)
    except uris.TrackingUriError:  # which is told where the workspace is asked for
        return None
