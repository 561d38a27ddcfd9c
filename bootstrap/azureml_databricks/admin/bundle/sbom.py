"""The bill of materials of an archive, in CycloneDX's form: what is in it, its hashes and its licences.

A node never reads it. It has no time and no number of its own, so that the same archive has the same bytes.
Source: https://cyclonedx.org/docs/1.5/json/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.message import Message
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

NAME = "azureml-databricks.cdx.json"
_OURS = "azureml-databricks"
# What packages write -> its id at https://spdx.org/licenses
_SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "isc": "ISC",
    "mit": "MIT",
    "mit license": "MIT",
    "mpl-2.0": "MPL-2.0",
    "psf-2.0": "PSF-2.0",
    "unlicense": "Unlicense",
}


def bill_of_materials(folder: Path, lock: str, about: Mapping[str, str]) -> str:
    """Return the bill of what an archive will hold, as JSON.

    Args:
        folder: with the packages, their metadata and ours.
        lock: the text of the requirements that they were installed by, with hashes.
        about: what else is said of the archive, by name.
    """
    hashes = _hashes(lock)
    held = {_normal(it.name): it for it in distributions(path=[str(folder)])}
    ours = held.pop(_OURS)
    components = [_component(name, held[name], hashes[name]) for name in sorted(held)]
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": _OURS,
                "name": _OURS,
                "version": ours.version,
                "licenses": [{"license": {"id": "MIT"}}],
            },
            "properties": [{"name": f"{_OURS}:{name}", "value": value} for name, value in about.items()],
        },
        "components": components,
        "dependencies": [
            {"ref": _OURS, "dependsOn": [component["bom-ref"] for component in components]},
            *({"ref": component["bom-ref"]} for component in components),
        ],
    }
    return json.dumps(bill, indent=1) + "\n"


def _hashes(lock: str) -> dict[str, list[str]]:
    """Return the SHA-256 of each file that a lock accepts for a package, by the package's name."""
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)
    pinned = ((re.match(r"[\w.-]+(?===)", entry), entry) for entry in entries)
    return {_normal(it[0]): re.findall(r"sha256:([0-9a-f]{64})", entry) for it, entry in pinned if it}


def _component(name: str, package: Distribution, hashes: list[str]) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{package.version}"
    # The lock accepts each of a package's files; that is why the hashes are not the component's own.
    distribution = {
        "type": "distribution",
        "url": f"https://pypi.org/project/{name}/{package.version}/",
        "comment": "one of the files with these hashes was installed",
        "hashes": [{"alg": "SHA-256", "content": content} for content in hashes],
    }
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": package.version,
        "licenses": _licences(package.metadata),  # type: ignore[arg-type]
        "purl": purl,
        "externalReferences": [distribution],
    }


def _licences(metadata: Message) -> list[dict[str, Any]]:
    """Return a package's licence: what it calls by SPDX's names, or else as it is written in one line."""
    if expression := metadata.get("License-Expression"):
        return [{"expression": expression}]
    classified = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier", [])
        if text.startswith("License :: ") and not text.endswith(":: OSI Approved")
    ]
    written = (metadata.get("License") or "").strip()
    # Some have the whole text there.
    named = written if written and "\n" not in written else ", ".join(classified)
    for text in (named, *classified):
        if known := _SPDX.get(text.lower()):
            return [{"license": {"id": known}}]
    return [{"license": {"name": named}}] if named else []


def _normal(name: str) -> str:
    """Return a package's name in the one way that indexes have it."""
    return re.sub(r"[-_.]+", "-", name).lower()
