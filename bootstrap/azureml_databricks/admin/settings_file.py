"""The settings file that an admin writes: TOML, and never with a secret in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from azureml_databricks.settings import ENV_PREFIX, SettingError, Settings, Value, check_of_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_ENV = ENV_PREFIX.rstrip(".")


def read(path: Path) -> dict[str, str]:
    """Return the settings in a TOML file, by name.

    Raises:
        SettingError: the file cannot be read, or something in it is not a setting, a wrong value or a secret.
    """
    try:
        # Editors on Windows put a byte order mark before UTF-8.
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{path} is not UTF-8: save it as that") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path} is not TOML: {error}") from None
    origin = f"in {path}"
    texts = {name: _text(name, value, origin) for name, value in _flat(document, origin).items()}
    _check(texts, origin)
    return texts


def _flat(document: dict[str, Any], origin: str) -> dict[str, Any]:
    variables = document.pop(_ENV, {})
    if not isinstance(variables, dict):
        raise SettingError(f'{_ENV} ({origin}) is no table: write [{_ENV}], and below it NAME = "..."')
    return {**document, **{ENV_PREFIX + name: value for name, value in variables.items()}}


def _text(name: str, value: Any, origin: str) -> str:
    check_of_file(name, origin)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        text = str(value)
        if text.isprintable():
            return text
    raise SettingError(f"{name} ({origin}) is {value!r}: a setting is a text of one line")


def _check(texts: dict[str, str], origin: str) -> None:
    settings = Settings({}, {name: Value(text, name, origin) for name, text in texts.items()})
    settings.check_choices()
    if settings["trackingUri"] or all(settings[name] for name in settings.WORKSPACE_PARTS):
        settings.workspace()
