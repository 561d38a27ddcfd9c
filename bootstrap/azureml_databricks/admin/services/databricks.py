"""The Databricks workspace: logging in, and its refusals in one line."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.credentials_provider import CredentialsProvider, DefaultCredentials
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, TooManyRequests, Unauthenticated
from databricks.sdk.errors.base import DatabricksError

from azureml_databricks.admin.errors import AdminError, NotDoneError, RefusedError, silence
from azureml_databricks.admin.file.any_text import decoded
from azureml_databricks.admin.file.deployment import Databricks, is_databricks, same_host
from azureml_databricks.admin.services import network

_ANSWER_SECONDS = 20
_RETRY_SECONDS = 60
_TWO_LOGINS = "more than one authorization method configured:"
# Variables by which the SDK logs in: https://learn.microsoft.com/azure/databricks/dev-tools/auth/env-vars
_LOGINS = ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID", "DATABRICKS_AUTH_TYPE", "ARM_CLIENT_ID")
# What Azure Databricks answers, as 403, to a token that it does not know.
_NO_LOGIN = "Invalid access token"


def connect(databricks: Databricks) -> tuple[WorkspaceClient, str]:
    """Return a client that is logged in, and the user's (or service principal's) name.

    Raises:
        AdminError: the workspace cannot be reached, or the login is missing or refused.
    """
    silence("databricks.sdk")
    network.check()
    _check_environment(databricks)
    profile = databricks.profile or _profile_of(databricks.host or "")
    where = databricks.host or f"the host of profile {databricks.profile}"
    # Before anything is asked: the SDK asks first.
    if len(ways := _ways_to_log_in(profile)) > 1:
        raise _several_logins(where, " and ".join(ways))
    remedy = f"`databricks auth login {_option(databricks)}`, or set DATABRICKS_TOKEN"
    try:
        if databricks.host:
            # The SDK tries for minutes.
            requests.head(f"{databricks.host}/.well-known/databricks-config", timeout=_ANSWER_SECONDS)
        config = Config(
            host=None if profile else databricks.host,
            profile=profile or None,
            credentials_strategy=_ToDatabricksOnly(),  # type: ignore[arg-type]  # as the SDK's own is none
            product="azureml-databricks",
            retry_timeout_seconds=_RETRY_SECONDS,
            # Its own way to read a file asks for an address first, which workspaces may refuse.
            disable_experimental_files_api_client=True,
        )
        client = WorkspaceClient(config=config)
        user = client.current_user.me().user_name or ""
    except (Unauthenticated, PermissionDenied) as error:
        raise AdminError(f"{where} refuses the login ({_first_line(error)}): {remedy}") from None
    except (requests.RequestException, TimeoutError) as error:  # some of them are a ValueError, too
        raise AdminError(
            f"{where} cannot be reached ({_cause(error)}): is the address right, "
            "and does the network (HTTPS_PROXY) let it through?"
        ) from None
    except (ValueError, configparser.Error) as error:  # what the SDK's Config raises
        if _TWO_LOGINS in str(error):
            raise _several_logins(where, _first_line(error).partition(_TWO_LOGINS)[2].strip()) from None
        raise AdminError(f"no login to {where} ({_first_line(error)}): {remedy}") from None
    except DatabricksError as error:
        raise AdminError(f"{where} does not answer as a workspace does: {_first_line(error)}") from None
    return client, user


def _profile_of(host: str) -> str:
    """Return the one profile of ~/.databrickscfg that is for a host, if no variable says how to log in."""
    if not host or any(os.environ.get(name) for name in _LOGINS):
        return ""
    profiles = _profiles()
    found = [name for name in profiles.sections() if same_host(profiles[name].get("host", ""), host)]
    return found[0] if len(found) == 1 else ""


def _ways_to_log_in(profile: str) -> list[str]:
    """Return the ways that variables and a profile name, by the SDK; none if it is said which counts."""
    profiles = _profiles()
    section = profiles[profile] if profiles.has_section(profile) else {}
    if os.environ.get("DATABRICKS_AUTH_TYPE") or "auth_type" in section:
        return []
    known: list[Any] = list(Config.attributes())
    return sorted(
        {it.auth for it in known if it.auth and (os.environ.get(it.env or "") or it.name in section)}
    )


def _several_logins(where: str, found: str) -> AdminError:
    return AdminError(
        f"there are several logins to {where} ({found}): set DATABRICKS_AUTH_TYPE to the one that is "
        "meant (pat, oauth-m2m, azure-cli, ...), or unset the variables of the others"
    )


def _profiles() -> configparser.ConfigParser:
    """Return what is in ~/.databrickscfg; nothing where it cannot be read, of which the SDK says why."""
    file = Path(os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg").expanduser()
    profiles = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        profiles.read_string(decoded(file.read_bytes()))
    except (OSError, UnicodeDecodeError, configparser.Error):
        profiles.clear()
    return profiles


class _ToDatabricksOnly(DefaultCredentials):
    """The SDK's ways to log in, for Azure Databricks' own hosts: a profile may have any."""

    def __call__(self, cfg: Config) -> CredentialsProvider:
        """Return what logs requests in.

        Raises:
            AdminError: they would go elsewhere.
        """
        if cfg.host and not is_databricks(cfg.host):
            raise AdminError(
                f"profile {cfg.profile} is for {cfg.host!r}, and no login goes there: name one whose host is "
                "https://adb-....azuredatabricks.net"
            )
        return super().__call__(cfg)


def _check_environment(databricks: Databricks) -> None:
    """Refuse to take a login that is for one workspace to another: the file may be anybody's."""
    known = os.environ.get("DATABRICKS_HOST", "")
    if databricks.host and known and not same_host(known, databricks.host):
        raise AdminError(
            f"databricks.host is {databricks.host!r}, and the login in the environment is for "
            f"DATABRICKS_HOST, {known!r}: make them the same, or unset DATABRICKS_HOST"
        )


@contextmanager
def telling(what: str, needs: str) -> Iterator[None]:
    """Turn what Databricks refuses into one line.

    Args:
        what: was tried, such as `policy azureml cannot be changed`.
        needs: the right that it takes, such as `admin of the workspace`.

    Raises:
        AdminError: Databricks refused, or cannot be reached.
    """
    try:
        yield
    except (Unauthenticated, PermissionDenied) as error:
        if _NO_LOGIN in str(error):
            needs = "a login that is valid still"
        raise RefusedError(f"{what}: it takes {needs} ({_first_line(error)})") from None
    except (BadRequest, NotFound) as error:
        raise NotDoneError(f"{what}: {_first_line(error)}") from None
    except DatabricksError as error:
        raise AdminError(f"{what}: {_first_line(error)}") from None
    except (requests.RequestException, TimeoutError) as error:
        if isinstance(error.__cause__, TooManyRequests):
            raise AdminError(
                f"{what}: for a minute, the workspace has answered that it gets too many requests (429: "
                f"{_cause(error)}); run this again in some minutes, when others ask it less"
            ) from None
        raise AdminError(f"{what}: {_address(error)} cannot be reached ({_cause(error)})") from None


def _address(error: BaseException) -> str:
    """Return the address that was asked, without what signs it."""
    request = getattr(error, "request", None)
    return (getattr(request, "url", None) or "Databricks").partition("?")[0]


def _cause(error: BaseException) -> str:
    inner = error.__cause__ or error.__context__
    return _cause(inner) if inner else _first_line(error).rpartition(": ")[2]


def _option(databricks: Databricks) -> str:
    return f"--host {databricks.host}" if databricks.host else f"--profile {databricks.profile}"


def _first_line(error: BaseException) -> str:
    # The SDK appends its configuration, or where to read about it.
    text = re.split(r" Config: |, please check https", str(error))[0].strip()
    return (text or repr(error)).splitlines()[0].rstrip(".")
