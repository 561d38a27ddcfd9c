"""A TOML file that an admin writes: reading it, and the line on which a key is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.file.any_text import decoded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Key = Sequence[str | int]


@dataclass(frozen=True)
class TomlFile:
    """A file that is TOML.

    Attributes:
        path: as the admin gave it.
        text: what is in it.
        document: what that says.
    """

    path: Path
    text: str
    document: dict[str, Any]

    def line(self, key: Key) -> int:
        """Return the line, from 1, on which the statement that gives `key` begins.

        Of a key that is not in the file, it is the line of the nearest table around it that is, else 1.
        """
        while key and not _is_in(self.document, key):
            key = key[:-1]
        if not key:
            return 1
        # The parser itself is asked: the statement is the first one with which the key is there.
        lines = self.text.split("\n")
        begin = 0
        for end in range(1, len(lines) + 1):
            try:
                document = tomllib.loads("\n".join(lines[:end]))
            except tomllib.TOMLDecodeError:
                continue  # in the middle of a statement of several lines
            if _is_in(document, key):
                break
            begin = end
        return begin + 1


def read(path: Path) -> TomlFile:
    """Return the file.

    Raises:
        AdminError: it cannot be read, or is not TOML.
    """
    try:
        text = decoded(path.read_bytes())
        return TomlFile(path, text, tomllib.loads(text))
    except OSError as error:
        raise AdminError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AdminError(f"{path} is not UTF-8: save it as that") from None
    except tomllib.TOMLDecodeError as error:
        raise AdminError(f"{path} is not TOML: {error}") from None
    except RecursionError:
        raise AdminError(f"{path} is not TOML that can be read: it is too deep") from None
    except ValueError:
        # https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
        raise AdminError(
            f"{path} is not TOML that can be read: it has a number of thousands of digits"
        ) from None


def _is_in(document: Any, key: Key) -> bool:
    for part in key:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
