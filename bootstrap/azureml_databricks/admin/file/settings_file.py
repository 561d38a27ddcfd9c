"""The settings that an admin writes, in a file of their own or in a table of another: never a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from azureml_databricks.admin.file import toml_file
from azureml_databricks.settings import ENV_PREFIX, SettingError, Settings, Value, check_of_file

_ENV = ENV_PREFIX.rstrip(".")


def read(path: Path) -> dict[str, str]:
    """Return the settings in a TOML file, by name.

    Raises:
        AdminError: the file cannot be read, or is not TOML.
        SettingError: something in it is not a setting, a wrong value or a secret.
    """
    document = toml_file.read(path).document
    if isinstance(document.get("settings"), dict):
        raise SettingError(
            f"{path} has a heading [settings], as azureml-databricks.toml has: this file has settings only, "
            "without a heading; variables are below [env]"
        )
    return texts(document, f"in {path}")


def texts(table: dict[str, Any], origin: str) -> dict[str, str]:
    """Return the settings in a TOML table, by name.

    Args:
        table: as TOML gives it.
        origin: where it came from, in words that an error can use.

    Raises:
        SettingError: something in it is not a setting, a wrong value or a secret.
    """
    found = {name: _text(name, value, origin) for name, value in _flat(table, origin).items()}
    _check(found, origin)
    return found


def _flat(table: dict[str, Any], origin: str) -> dict[str, Any]:
    variables = table.get(_ENV, {})
    if not isinstance(variables, dict):
        raise SettingError(f'{_ENV} ({origin}) is no table: write [{_ENV}], and below it NAME = "..."')
    rest = {name: value for name, value in table.items() if name != _ENV}
    return {**rest, **{ENV_PREFIX + name: value for name, value in variables.items()}}


def _text(name: str, value: Any, origin: str) -> str:
    check_of_file(name, origin, str(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        text = str(value)
        if text.isprintable():
            return text
    raise SettingError(f"{name} ({origin}) is {value!r}: a setting is a text of one line")


def _check(texts: dict[str, str], origin: str) -> None:
    settings = Settings({}, {name: Value(text, name, origin) for name, text in texts.items()})
    settings.check_texts()
    if settings["trackingUri"] or all(settings[name] for name in settings.WORKSPACE_PARTS):
        settings.workspace()
