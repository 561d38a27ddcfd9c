"""Entra ID: openid-configuration, instance discovery, and tokens for a secret or a federated token.

The errors are worded as Entra words them.

Source: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.emulated.azure.clouds import Cloud
from tests.emulated.azure.identities import Principal, new_id
from tests.emulated.azure.tokens import Tokens


def login_app(
    cloud: Cloud, tokens: Tokens, principals: tuple[Principal, ...], not_known_yet: dict[str, list[int]]
) -> Starlette:
    login = _Login(cloud, tokens, principals, not_known_yet)
    return Starlette(
        routes=[
            Route("/common/discovery/instance", login.instances),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", login.configuration),
            Route("/{tenant}/oauth2/v2.0/token", login.token, methods=["POST"]),
        ]
    )


class _Login:
    def __init__(
        self,
        cloud: Cloud,
        tokens: Tokens,
        principals: tuple[Principal, ...],
        not_known_yet: dict[str, list[int]],
    ) -> None:
        self._cloud = cloud
        self._tokens = tokens
        self._principals = principals
        self._not_known_yet = not_known_yet

    async def instances(self, request: Request) -> JSONResponse:
        """Which hosts are one cloud's.

        Source: msal.authority
        """
        host = self._cloud.login_hosts[-1]
        aliases = list(self._cloud.login_hosts)
        return JSONResponse(
            {
                "tenant_discovery_endpoint": f"https://{host}/common/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": aliases}],
            }
        )

    async def configuration(self, request: Request) -> JSONResponse:
        """Where a tenant gives tokens.

        Source: https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
        """
        tenant = request.path_params["tenant"]
        if not self._known(tenant):
            return _unknown_tenant("invalid_tenant", tenant, request)
        base = f"https://{request.url.hostname}/{tenant}"
        return JSONResponse(
            {
                "issuer": f"{base}/v2.0",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "tenant_region_scope": None,
            }
        )

    async def token(self, request: Request) -> JSONResponse:
        """A token for a client secret, or for another issuer's token; else Entra's code of what is wrong.

        Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
        """
        tenant = request.path_params["tenant"]
        form = dict(parse_qsl((await request.body()).decode()))
        client_id = form.get("client_id", "")
        resource, separator, _ = form.get("scope", "").partition("/.default")
        if not self._known(tenant):
            return _unknown_tenant("invalid_request", tenant, request)
        if form.get("grant_type") != "client_credentials":
            message = "The request body must contain the following parameter: 'grant_type'."
            return _error(400, "unsupported_grant_type", 900144, message, request)
        if codes := self._not_known_yet.get(client_id):
            return _not_known_yet(codes.pop(0), tenant, client_id, request)
        principal = next((p for p in self._principals if p.client_id == client_id), None)
        if principal is None:
            return _not_known_yet(700016, tenant, client_id, request)
        if "client_assertion" in form:
            if refusal := _refusal(principal, form["client_assertion"]):
                return _error(401, "invalid_client", *refusal, request)
        elif form.get("client_secret") == principal.expired_secret:
            message = (
                f"The provided client secret keys for app '{client_id}' are expired. Visit the Azure portal "
                "to create new keys for your app: https://aka.ms/NewClientSecret, or consider using "
                "certificate credentials for added security: https://aka.ms/certCreds."
            )
            return _error(401, "invalid_client", 7000222, message, request)
        elif form.get("client_secret") != principal.client_secret:
            return _not_known_yet(7000215, tenant, client_id, request)
        if not separator:
            message = (
                f"The provided value for scope {form.get('scope')} is not valid. Client credential "
                "flows must have a scope value with /.default suffixed to the resource identifier "
                "(application ID URI)."
            )
            return _error(400, "invalid_scope", 1002012, message, request)
        if resource.rstrip("/") not in self._cloud.audiences:
            message = f"The resource principal named {resource} was not found in tenant {tenant}."
            return _error(400, "invalid_resource", 500011, message, request)
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": self._tokens.lifetime,
                "ext_expires_in": self._tokens.lifetime,
                "access_token": self._tokens.issue(principal, resource.rstrip("/")),
            }
        )

    def _known(self, tenant: str) -> bool:
        return any(p.tenant_id == tenant for p in self._principals)


def _refusal(principal: Principal, assertion: str) -> tuple[int, str] | None:
    """Return code and message of why a token of another issuer does not stand for a principal.

    Source: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
    """
    if principal.federation is None:
        return 70025, f"The client '{principal.client_id}' has no configured federated identity credentials."
    return principal.federation.refusal(assertion)


def _not_known_yet(code: int, tenant: str, client_id: str, request: Request) -> JSONResponse:
    """What there is not, or not yet in the part of the directory that answers: it is copied within minutes.

    Source: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
    """
    status, error, message = {
        700016: (
            400,
            "unauthorized_client",
            f"Application with identifier '{client_id}' was not found in the directory "
            f"'{tenant}'. This can happen if the application has not been installed by the "
            "administrator of the tenant or consented to by any user in the tenant. You may "
            "have sent your authentication request to the wrong tenant.",
        ),
        7000215: (
            401,
            "invalid_client",
            "Invalid client secret provided. Ensure the secret being sent in the request is "
            "the client secret value, not the client secret ID, for a secret added to app "
            f"'{client_id}'.",
        ),
        7000229: (
            401,
            "invalid_client",
            f"The client application {client_id} is missing service principal in the tenant {tenant}. "
            "See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119",
        ),
        90033: (400, "server_error", "A transient error has occurred. Please try again."),
    }[code]
    return _error(status, error, code, message, request)


def _unknown_tenant(error: str, tenant: str, request: Request) -> JSONResponse:
    message = (
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are "
        "signing into the correct cloud. Check with your subscription administrator, this may "
        "happen if there are no active subscriptions for the tenant."
    )
    return _error(400, error, 90002, message, request)


def _error(status: int, error: str, code: int, message: str, request: Request) -> JSONResponse:
    trace_id, correlation_id = new_id(), request.headers.get("client-request-id", new_id())
    timestamp = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
    return JSONResponse(
        {
            "error": error,
            "error_description": f"AADSTS{code}: {message} Trace ID: {trace_id} "
            f"Correlation ID: {correlation_id} Timestamp: {timestamp}",
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"https://{request.url.hostname}/error?code={code}",
        },
        status_code=status,
    )
