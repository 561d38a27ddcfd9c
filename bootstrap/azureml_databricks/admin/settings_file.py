"""The settings file that an admin writes: TOML, and never with a secret in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from azureml_databricks.settings import BY_NAME, ENV_PREFIX, SettingError, Settings, Value, check_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# By whole words: TOKENIZERS_PARALLELISM is no secret.
_SECRET_WORDS = {"SECRET", "PASSWORD", "PASSWD", "PWD", "TOKEN", "KEY", "SAS", "CREDENTIAL", "CREDENTIALS"}
_HOW_TO_GIVE_A_SECRET = (
    "a secret is in no file of ours; give it in the policy as spark_env_vars, {{secrets/scope/key}}"
)


def read(path: Path) -> dict[str, str]:
    """Return the settings in a TOML file, by name.

    Raises:
        SettingError: the file cannot be read, or something in it is not a setting, a wrong value or a secret.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path} is not TOML: {error}") from None
    texts = {name: _text(name, value, path) for name, value in _flat(document).items()}
    _check(texts, f"in {path}")
    return texts


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    variables = document.pop(ENV_PREFIX.rstrip("."), {})
    if not isinstance(variables, dict):
        return {**document, ENV_PREFIX: variables}
    return {**document, **{ENV_PREFIX + name: value for name, value in variables.items()}}


def _text(name: str, value: Any, path: Path) -> str:
    check_name(name, f"in {path}")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise SettingError(f"{name} (in {path}) is {value!r}: a setting is a text")


def _check(texts: dict[str, str], origin: str) -> None:
    for name in texts:
        own = BY_NAME.get(name)
        if own.secret if own else _SECRET_WORDS & set(name.removeprefix(ENV_PREFIX).upper().split("_")):
            raise SettingError(f"{name} ({origin}): {_HOW_TO_GIVE_A_SECRET}")
        variable = name.removeprefix(ENV_PREFIX)
        for setting in BY_NAME.values():
            if name != variable and variable == setting.variable:
                raise SettingError(f"{name} ({origin}) is the setting {setting.name}: write that")
    settings = Settings({}, {name: Value(text, name, origin) for name, text in texts.items()})
    settings.check_choices()
    if settings["trackingUri"]:
        settings.workspace()
