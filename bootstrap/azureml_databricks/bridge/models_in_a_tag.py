"""The logged models of a run that has ended, as a tag of it: a search reads a thousand runs at once.

It counts for a run to which no other process has added a record, and is left out where it would be too long.
While its own process adds one, the tag says that.
"""

from __future__ import annotations

import json
import zlib
from base64 import b85decode, b85encode
from collections.abc import Mapping

from azureml_databricks.bridge import limits
from azureml_databricks.bridge.outgoing import MODELS, SHARED
from azureml_databricks.bridge.records import Record

# While a record is added: whoever is killed then leaves it so, and the records are read.
CHANGING = "changing"
# What is said there when it is unpacked: somebody else may have written it.
_MOST = 1 << 20


def text(records: Mapping[str, list[Record]]) -> str:
    """Return the tag's value, empty if it would be too long."""
    packed = b85encode(zlib.compress(json.dumps(records, separators=(",", ":")).encode(), 9)).decode()
    return packed if len(packed) <= limits.TAG_VALUE else ""


def read(tags: Mapping[str, str]) -> dict[str, list[Record]] | None:
    """Return the records of a run's models by folder, None where its tags do not tell."""
    if SHARED in tags or tags.get(MODELS, CHANGING) == CHANGING:
        return None
    try:
        unpacked = zlib.decompressobj().decompress(b85decode(tags[MODELS]), _MOST)
        records: dict[str, list[Record]] = json.loads(unpacked)
    except (RecursionError, ValueError, zlib.error):
        return None
    return records if isinstance(records, dict) else None
