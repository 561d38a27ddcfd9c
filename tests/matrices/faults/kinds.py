"""Endpoints of Azure, and what each does instead of answering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Asks = TypeVar("Asks")


@dataclass(frozen=True)
class Kind:
    """What an endpoint does instead of answering.

    Attributes:
        name: as a person says it.
        fault: arguments of `Faults.add`; None where nothing comes as far as the endpoint.
        variables: of the program, from the moment that it asks.
        tokens: what is so of the tokens that are issued.
    """

    name: str
    fault: Mapping[str, object] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint(Generic[Asks]):
    """What is asked.

    Attributes:
        name: as a person says it.
        host: of a fault.
        path: likewise, a regular expression.
        asks: what asks it, in the words of its table.
    """

    name: str
    host: str
    path: str
    asks: Asks


@dataclass(frozen=True)
class Fault(Generic[Asks]):
    """A row of a table: a kind at an endpoint."""

    endpoint: Endpoint[Asks]
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.endpoint.name}: {self.kind.name}"


NOBODY, NOWHERE = "http://127.0.0.1:1", "http://nowhere.invalid"


def elsewhere(address: str) -> dict[str, str]:
    names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "AZURE_POD_IDENTITY_AUTHORITY_HOST")
    return dict.fromkeys(names, address)


KINDS = [
    Kind("refused", variables=elsewhere(NOBODY)),
    Kind("no such host", variables=elsewhere(NOWHERE)),
    Kind(
        "unknown CA", variables=dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"), "")
    ),
    Kind("hang", {"hang": True}),
    Kind("reset", {"cut": True}),
    Kind("reset in a body", {"torn": True}),
    *(Kind(str(status), {"status": status}) for status in (401, 403, 404, 409, 500, 503)),
    Kind("429", {"status": 429}),
    Kind("429, Retry-After", {"status": 429, "headers": {"Retry-After": "1"}}),
    Kind("not JSON", {"page": "<html><body>Sign in to the hotel's network</body></html>"}),
    Kind("reset once", {"cut": True, "times": 1}),
    Kind("503 once", {"status": 503, "times": 1}),
    Kind("429 once, Retry-After", {"status": 429, "headers": {"Retry-After": "1"}, "times": 1}),
    Kind("ten of 503", {"status": 503, "times": 10}),
    Kind("the answer lost", {"cut": True, "after": True, "times": 1}),
]
OF_TOKENS = [
    Kind("a token expired on arrival", tokens={"lifetime": 0}),
    Kind("a clock two hours behind", tokens={"ahead": 7200}),
    Kind("a clock two hours ahead", tokens={"ahead": -7200}),
]
OF_AZURES_SDK = [
    Kind("429, Retry-After of an hour", {"status": 429, "headers": {"Retry-After": "3600"}}),
]
OF_REQUESTS = [
    Kind(
        "a token that has expired, once",
        {"page": '{"error": {"code": "ExpiredAuthenticationToken"}}', "status": 401, "times": 1},
    ),
]
