"""The login to Azure: whether it works, as whom, and how long it takes."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping

from azureml_databricks.checkup.findings import Finding, Part, cause_and_advice
from azureml_databricks.node import variables

PART = Part("login")


def missing() -> Iterator[Finding]:
    """Yield which variables the login would lack, if any; nobody is asked."""
    settings = variables.settings_now()
    if settings.asked and settings.missing_for_login:
        lacking = ", ".join(settings.missing_for_login)
        yield PART.wrong("variables", f"{lacking} not set in this process", "the cluster policy sets them")


def findings() -> Iterator[Finding]:
    """Yield whether this process can log in now: a token that the node has in memory proves nothing."""
    from azureml_databricks.bridge.credential import AzureCredential, AzureLoginError
    from azureml_databricks.bridge.workspace import service_context

    settings = variables.settings_now()
    context = service_context(settings.workspace().tracking_uri)
    started = time.perf_counter()
    try:
        credential = AzureCredential(context.cloud._get_authority())
        token = credential.log_in(context.cloud._get_default_scope()).token
    except AzureLoginError as error:
        yield PART.wrong(
            settings["auth"],
            *cause_and_advice(
                error.message.removeprefix("cannot log in to Azure: "),
                f"what auth = {settings['auth']} needs is in docs/login.md",
            ),
        )
        return
    yield PART.ok(settings["auth"], f"{as_whom(token)}, in {time.perf_counter() - started:.1f} s")


def as_whom(token: str) -> str:
    """Return whom a token is of, by the claims in it.

    https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
    """
    try:
        claims = _claims(token)
    except (IndexError, ValueError):
        return "a token that does not tell of whom it is"
    application = claims.get("appid") or claims.get("azp")
    return f"application {application}, object {claims.get('oid')}, tenant {claims.get('tid')}"


def _claims(token: str) -> Mapping[str, object]:
    """Return what a token says, without any check: who it is for checks it."""
    payload = token.split(".")[1]
    claims: Mapping[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
