"""Federated credentials: tokens of another issuer that Entra ID takes in place of a secret.

Source: https://learn.microsoft.com/entra/workload-id/workload-identity-federation
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

import jwt

# Entra ID's words for a claim that no federated credential has.
_MISMATCHES = {"iss": (700211, "issuer"), "sub": (700213, "subject"), "aud": (700212, "audience")}


@dataclass(frozen=True)
class FederatedCredential:
    """What an app registration or a managed identity trusts, and the issuer that it trusts."""

    issuer: str = "https://oidc.contoso.com"
    subject: str = "cluster:azureml"
    audience: str = "api://AzureADTokenExchange"
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def token(self, *, lifetime: int = 3600, **claims: str) -> str:
        """Return a token of the issuer, ``lifetime`` seconds valid; ``claims`` (``sub``) differ if given."""
        expected = {"iss": self.issuer, "sub": self.subject, "aud": self.audience}
        now = int(time.time())
        return jwt.encode({**expected, "iat": now, "exp": now + lifetime, **claims}, self.key, "HS256")

    def refusal(self, token: str) -> tuple[int, str] | None:
        """Return code and message of what is wrong with a token, None if it is taken.

        Issuer, subject and audience must each be those that were agreed on, and the token not expired.

        Source: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
        """
        try:
            claims = jwt.decode(token, self.key, ["HS256"], options={"verify_aud": False})
        except jwt.ExpiredSignatureError:
            return 700024, "Client assertion is not within its valid time range."
        except jwt.InvalidTokenError as error:
            return 50027, f"JWT token is invalid or malformed: {error}."
        expected = {"iss": self.issuer, "sub": self.subject, "aud": self.audience}
        for claim, (code, name) in _MISMATCHES.items():
            if claims[claim] != expected[claim]:
                return code, (
                    f"No matching federated identity record found for presented assertion {name} "
                    f"'{claims[claim]}'. Check your federated identity credential Subject, Audience and "
                    "Issuer against the presented assertion."
                )
        return None
