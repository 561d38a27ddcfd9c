"""What a deployment is: the schema of the file that an admin writes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr
from pydantic.alias_generators import to_camel

from azureml_databricks.admin.bundle.archives import RUNTIMES
from azureml_databricks.tracking_uri import is_azures, parse

AccessMode = Literal["standard", "dedicated", "no-isolation"]
Auth = Literal["service-principal", "managed-identity", "workload-identity", "service-credential"]
ACCESS_MODES: tuple[str, ...] = get_args(AccessMode)
AUTHS: tuple[str, ...] = get_args(Auth)
ML = "-ml"
_RUNTIMES = [runtime + kind for runtime in RUNTIMES for kind in ("", ML)]
_RESOURCE_ID = re.compile(
    r"/subscriptions/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/resourceGroups/([^/?#&]+)"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/([^/?#&]+)",
    re.IGNORECASE,
)
# Whoever is there gets the admin's login. The domains of Azure's clouds:
# https://learn.microsoft.com/azure/databricks/resources/ip-domain-region,
# https://learn.microsoft.com/azure/china/resources-developer-guide and the SDK's `environments.py`.
_DATABRICKS = re.compile(
    r"https://((?:[a-z0-9-]+\.)+(?:azuredatabricks\.net|databricks\.azure\.us|databricks\.azure\.cn))"
    r"(?::443)?(?=[/?#]|$)",
    re.IGNORECASE | re.ASCII,
)
_LOOPBACK = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?(?=[/?#]|$)", re.ASCII)


def _host(value: str) -> str:
    # What the browser shows has more to it: https://adb-1.2.azuredatabricks.net/?o=1
    text = value if "://" in value else f"https://{value}"
    if found := _DATABRICKS.match(text):
        return f"https://{found[1].lower()}"
    if found := _LOOPBACK.match(text):
        return found[0]
    raise ValueError("give the address of the Databricks workspace, https://adb-....azuredatabricks.net")


def _resource_id(value: str) -> str:
    found = _RESOURCE_ID.search(unquote(value))
    if not found:
        raise ValueError(
            "no /subscriptions/.../resourceGroups/.../workspaces/... in it; take it from the workspace's "
            "page in the Azure portal, or the address from the studio"
        )
    return found[0]


def workspace_name(value: str) -> str:
    """Return the name of the Azure ML workspace in a resource ID or an address; empty if there is none."""
    found = _RESOURCE_ID.search(unquote(value))
    return found[3] if found else ""


def _tracking_uri(value: str) -> str:
    found = parse(value)
    if not is_azures(found.host):
        # Whoever is there gets the clusters' login.
        raise ValueError(f"{found.host} is no host of Azure Machine Learning's")
    return found.tracking_uri


def _guid(value: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        raise ValueError("it is not a GUID")
    return value


def _runtime(value: str) -> str:
    if value not in _RUNTIMES:
        raise ValueError(f"use {', '.join(_RUNTIMES)}")
    return value


def _location(value: str) -> str:
    parts = value.rstrip("/").split("/")
    plain = value.isprintable() and value == value.strip() and not {"", ".", ".."} & set(parts[1:])
    if not plain or parts[0] or parts[1:2] not in (["Volumes"], ["Workspace"]):
        raise ValueError("give a folder as a node sees it, /Volumes/... or /Workspace/...")
    if parts[1] == "Volumes" and len(parts) < 5:
        raise ValueError("a volume's path is /Volumes/CATALOG/SCHEMA/VOLUME")
    if parts[1] == "Workspace" and len(parts) < 4:
        raise ValueError("give a folder of its own, such as /Workspace/Admins/azureml-databricks")
    if parts[1:3] == ["Workspace", "Shared"]:
        raise ValueError("every user can write to /Workspace/Shared, and what lies there would run as root")
    return "/".join(parts)


def _secret_name(value: str) -> str:
    # https://learn.microsoft.com/azure/databricks/security/secrets/#create-a-secret
    if not re.fullmatch(r"[\w.@-]{1,128}", value, re.ASCII):
        raise ValueError("a name has letters, digits, - _ . @ only; it is the name, never the secret itself")
    return value


def _text(value: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("it has a control character; write what can be seen")
    return value


def is_databricks(address: str) -> bool:
    """Return whether an address is of a Databricks workspace in Azure, or of this machine."""
    try:
        return bool(_host(address))
    except ValueError:
        return False


def same_host(one: str, other: str) -> bool:
    """Return whether two addresses are of one Databricks workspace."""
    try:
        return _host(one) == _host(other)
    except ValueError:
        return False


def check_location(value: str) -> None:
    """Refuse what `deploy` refuses as a location.

    Raises:
        ValueError: with the reason.
    """
    _location(value)


Host = Annotated[str, AfterValidator(_host)]
ResourceId = Annotated[str, AfterValidator(_resource_id)]
TrackingUri = Annotated[str, AfterValidator(_tracking_uri)]
Guid = Annotated[str, AfterValidator(_guid)]
RuntimeName = Annotated[str, AfterValidator(_runtime), Field(json_schema_extra={"enum": [*_RUNTIMES]})]
Location = Annotated[str, AfterValidator(_location)]
SecretName = Annotated[str, AfterValidator(_secret_name)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_text)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        use_attribute_docstrings=True,
    )


class Databricks(_Section):
    """The Databricks workspace: host or profile. The login is databricks-sdk's unified authentication."""

    host: Host | None = None
    """Its address, https://adb-....azuredatabricks.net."""
    profile: Text | None = None
    """A profile of ~/.databrickscfg, instead of the host."""


class Workspace(_Section):
    """The Azure Machine Learning workspace: name, resourceGroup, subscriptionId; id; url; or trackingUri."""

    name: Text | None = None
    """Its name."""
    resource_group: Text | None = None
    """Its resource group."""
    subscription_id: Guid | None = None
    """Its subscription."""
    id: ResourceId | None = None
    """Its resource ID, /subscriptions/.../workspaces/NAME."""
    url: ResourceId | None = None
    """The address that the studio or the Azure portal shows for it."""
    tracking_uri: TrackingUri | None = None
    """Its MLflow tracking URI, as its page in the Azure portal shows it: with it, Azure is not asked, and who
    deploys needs no role there."""
    cloud: Literal["AzureCloud", "AzureUSGovernment", "AzureChinaCloud"] = "AzureCloud"
    """The Azure cloud that it is in."""

    @property
    def parts(self) -> tuple[str, str, str]:
        """Its subscription, resource group and name."""
        if self.tracking_uri:
            known = parse(self.tracking_uri)
            return known.subscription_id, known.resource_group, known.name
        found = _RESOURCE_ID.fullmatch(self.id or self.url or "")
        if found:
            return found[1], found[2], found[3]
        return self.subscription_id or "", self.resource_group or "", self.name or ""

    @property
    def resource_id(self) -> str:
        """Its resource ID, whatever the file says of it."""
        subscription_id, resource_group, name = self.parts
        return (
            f"/subscriptions/{subscription_id}/resourceGroups/{resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{name}"
        )


class Clusters(_Section):
    """The clusters that the policies are for; a policy may say other runtimes and another access mode."""

    runtimes: Annotated[tuple[RuntimeName, ...], Field(min_length=1)]
    """Databricks runtimes that users may choose from; the first is preset. With `-ml`: ML runtimes."""
    extras: Annotated[tuple[Literal["azure-ai-ml"], ...], Field(alias="with")] = ()
    """Packages for users to import, besides what MLflow needs."""
    access_mode: AccessMode
    """Who shares a cluster: many users, apart from each other; one user or group; many, not apart."""
    allow_writers: tuple[Text, ...] = ()
    """Who else may write to the location, by the name that the right has: they are root on every cluster."""
    allowlisted: bool = False
    """true leaves the metastore's allowlist of init scripts to others, who have put the location on it."""
    location: Location
    """The folder for our files, which only admins may write to: below /Volumes, or below /Workspace where
    there is no Unity Catalog. One deployment, one location: it also keeps the record of what was made."""


class Login(_Section):
    """How a cluster logs in to Azure."""

    auth: Auth = "service-principal"
    """With a client secret; as a managed identity of the node's; with a token in a file; with a service
    credential of Unity Catalog."""
    tenant_id: Guid | None = None
    """The identity's Entra ID tenant, for workload-identity."""
    client_id: Guid | None = None
    """The identity's client ID, for workload-identity and for one of several managed identities."""
    federated_token_file: Text | None = None
    """The file on the node that has the token, for workload-identity."""
    service_credential: Text | None = None
    """The name in Unity Catalog, for service-credential."""

    @property
    def settings(self) -> dict[str, str]:
        """What a cluster is to know of it, as settings."""
        return self.model_dump(by_alias=True, exclude_none=True)


# Of the usual manual way, besides the service principal's: the Azure ML workspace, which is no secret.
USUAL_KEYS = ("subscriptionid", "resourcegroup", "workspacename")


class Secrets(_Section):
    """Where the service principal's secret is, and the names of its keys."""

    scope: SecretName = "azureml"
    """The secret scope, of all policies that name none of their own."""
    tenant_id: SecretName = "tenantId"
    """The key that has the tenant's ID."""
    client_id: SecretName = "clientId"
    """The key that has the application (client) ID."""
    client_secret: SecretName = "clientSecret"
    """The key that has the secret. Never the secret itself."""

    also_readable: tuple[SecretName, ...] = ()
    """Other keys in the scope, which the policy's users may read, too: READ is on a whole scope."""

    @property
    def keys(self) -> list[str]:
        """The names of the keys that a cluster needs."""
        return [self.tenant_id, self.client_id, self.client_secret]

    @property
    def readable(self) -> list[str]:
        """The names of all keys that the policy's users may read: ours, and those that the file says."""
        return [*self.keys, *USUAL_KEYS, *self.also_readable]


@dataclass(frozen=True)
class Principal:
    """A group, user or service principal of the Databricks workspace.

    Attributes:
        kind: `group_name`, `user_name` or `service_principal_name`, as the permissions API has it.
        name: the service principal's is its application ID.
    """

    kind: str
    name: str


class Policy(_Section):
    """A cluster policy: a table `[policy]`, or several, each `[[policy]]`, with one upload for all."""

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_text)]
    """What users pick it by."""
    description: str | None = None
    """What users read about it."""
    runtimes: Annotated[tuple[RuntimeName, ...], Field(min_length=1)] | None = None
    """Databricks runtimes of this policy, in the place of those of [clusters]."""
    access_mode: AccessMode | None = None
    """The access mode of this policy, in the place of that of [clusters]."""
    family: Text | None = None
    """The ID of a policy family to start from, such as personal-vm."""
    definition: Text | None = None
    """A definition to start from: a JSON file, from this file's folder."""
    fixes: dict[str, Any] = {}
    """What the policy says besides: paths of a policy definition, and what each may be."""
    users: tuple[Text, ...] = ()
    """Users who may use it."""
    groups: tuple[Text, ...] = ()
    """Groups who may use it; `users` is everybody."""
    service_principals: tuple[Text, ...] = ()
    """Service principals who may use it, by application ID."""
    scope: SecretName | None = None
    """A secret scope of its own, in the place of that of [secrets]: who may use other policies only cannot
    read what is in it."""
    deployed: bool = True
    """false leaves the policy to Terraform or the like, which `policy render` prints it for."""

    @property
    def principals(self) -> list[Principal]:
        """Who may use it, and so needs to read the files and the secrets."""
        return [
            *(Principal("group_name", name) for name in self.groups),
            *(Principal("user_name", name) for name in self.users),
            *(Principal("service_principal_name", name) for name in self.service_principals),
        ]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _or_one(described: dict[str, Any]) -> None:
    """Let an editor take one table as well as a list of them."""
    one = described.pop("items")
    described["anyOf"] = [one, {"type": described.pop("type"), "items": one, "minItems": 1}]


Policies = Annotated[
    tuple[Policy, ...],
    Field(min_length=1),
    BeforeValidator(_as_list),
    Field(alias="policy", json_schema_extra=_or_one),
]


class Deployment(_Section):
    """What `azureml-databricks deploy` makes of a Databricks workspace."""

    databricks: Databricks
    workspace: Workspace
    clusters: Clusters
    login: Login = Login()
    secrets: Secrets = Secrets()
    policies: Policies
    settings: dict[str, Any] = {}
    """Settings for the clusters; never a secret."""

    _path: Path = PrivateAttr(default=Path())

    @property
    def path(self) -> Path:
        """The file that it was read from."""
        return self._path

    @property
    def needs_secrets(self) -> bool:
        """Whether clusters log in with what is in the secret scope."""
        return self.login.auth == "service-principal"

    @property
    def names(self) -> list[str]:
        """What it is known by in the Databricks workspace: its policies, and what clusters log in with."""
        if self.needs_secrets:
            logins = [f"secret scope {scope}" for scope in self.scopes]
        elif self.login.service_credential:
            logins = [f"service credential {self.login.service_credential}"]
        else:
            logins = [f"{self.login.auth} {self.login.client_id or 'of the nodes'}"]
        return [*(f"policy {policy.name}" for policy in self.policies), *logins]

    @property
    def scopes(self) -> dict[str, list[Principal]]:
        """The secret scopes of all policies, each with who may use a policy that has it."""
        found: dict[str, list[Principal]] = {}
        for policy in self.policies:
            readers = found.setdefault(self.scope_of(policy), [])
            readers += [it for it in policy.principals if it not in readers]
        return found

    @property
    def principals(self) -> list[Principal]:
        """Who may use one of the policies, and so needs to read the files and the secrets."""
        return list(dict.fromkeys(it for policy in self.policies for it in policy.principals))

    @property
    def runtimes(self) -> list[str]:
        """The runtimes of all policies, which one upload serves."""
        named = (it for policy in self.policies for it in self.clusters_of(policy).runtimes)
        return list(dict.fromkeys(named))

    @property
    def access_modes(self) -> set[str]:
        """The access modes of all policies."""
        return {self.clusters_of(policy).access_mode for policy in self.policies}

    def scope_of(self, policy: Policy) -> str:
        """Return the secret scope from which clusters under one of the policies log in."""
        return policy.scope or self.secrets.scope

    def clusters_of(self, policy: Policy) -> Clusters:
        """Return what clusters under one of the policies are to be."""
        own = {"runtimes": policy.runtimes, "access_mode": policy.access_mode}
        return self.clusters.model_copy(update={name: value for name, value in own.items() if value})


def schema() -> str:
    """Return the file's JSON Schema, for editors."""
    described = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "azureml-databricks.schema.json",
        **Deployment.model_json_schema(),
    }
    return json.dumps(described, indent=2)
