"""uv, which fetches packages and Pythons: how it is run, and what it says of a refusal."""

from __future__ import annotations

import os
import re
import subprocess

import uv

# What older versions draw beside a cause, and lines that say nothing of it.
_BESIDE = " \t\xd7\u251c\u2570\u2500\u25b6\u2502"
_NO_CAUSE = ("Using ", "Resolved ", "For more information, ")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it, and return what it has written.

    All else here trusts the certificates in REQUESTS_CA_BUNDLE, which requests and azure-core read:
    https://requests.readthedocs.io/en/latest/user/advanced/. uv reads SSL_CERT_FILE, and gets them so:
    https://docs.astral.sh/uv/reference/environment/.

    Args:
        arguments: its command.
        variables: besides those of this process.
    """
    trusted = os.environ.get("REQUESTS_CA_BUNDLE", "")
    certificates = {"SSL_CERT_FILE": trusted} if trusted else {}
    return subprocess.run(
        [uv.find_uv_bin(), *arguments],
        # A cause that is wrapped at the terminal's width could not be told from its last line.
        env={**certificates, **os.environ, "UV_NO_WRAP": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(said: str) -> str:
    """Return what uv says of a refusal in one line: the address that it was about, and the cause.

    Args:
        said: its standard error; a password may be in it, and is not in what is returned.
    """
    lines = [re.sub("^(error|cause|hint): ", "", it.strip(_BESIDE)) for it in said.splitlines()]
    told = [it for it in lines if it and not it.startswith(_NO_CAUSE)] or ["it says nothing"]
    of_an_address = next((it for it in told if "://" in it), told[0])
    return without_login(": ".join(dict.fromkeys([of_an_address.rstrip(":"), told[-1]])))


def without_login(text: str) -> str:
    """Return a text whose addresses have no user and no password."""
    return re.sub(r"(?<=://)\S*@", "", text)
