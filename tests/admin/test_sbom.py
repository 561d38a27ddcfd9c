"""The bill of materials in an archive: CycloneDX's form, every package with hashes and licence."""

from __future__ import annotations

import json
import re
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests import REPOSITORY
from tests.emulated.cluster import RUNTIME, build_bundle

_LOCKS = sorted((REPOSITORY / "bootstrap/azureml_databricks/locks").glob("*.txt"))
LOCKS = [
    pytest.param(it, id=it.stem, marks=() if it.stem == RUNTIME else pytest.mark.thorough) for it in _LOCKS
]


def bill(bundle: Path) -> str:
    with tarfile.open(next(bundle.glob("*.tar.gz"))) as archive:
        file = archive.extractfile("azureml-databricks.cdx.json")
        assert file
        return file.read().decode()


@pytest.mark.parametrize("lock", LOCKS)
def test_the_bill_has_each_package_with_its_hashes_and_its_licence(lock: Path, tmp_path: Path) -> None:
    # Given the archive that is made of a lock
    runtime, _, extra = lock.stem.partition("-")
    build_bundle(tmp_path / "out", runtimes=[runtime], extras=[extra] if extra else [])

    text = bill(tmp_path / "out")

    # Then its bill is one that tools can read
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    # And says what it is of
    it = json.loads(text)
    assert it["metadata"]["component"]["version"] == version("azureml-databricks")
    assert {"name": "azureml-databricks:runtime", "value": runtime} in it["metadata"]["properties"]
    # And has no other package and no other hash than the lock, and a licence of each
    locked = lock.read_text()
    components = {f"{each['name']}=={each['version']}": each for each in it["components"]}
    assert components.keys() == set(re.findall(r"^[\w.-]+==[^\s;]+", locked, re.MULTILINE))
    hashes = [content for each in components.values() for content in accepted(each)]
    assert sorted(hashes) == sorted(re.findall(r"--hash=sha256:(\w+)", locked))
    assert [name for name, each in components.items() if not each["licenses"]] == []


def accepted(component: dict[str, Any]) -> list[str]:
    (distribution,) = component["externalReferences"]
    assert urlsplit(distribution["url"]).scheme == "https"
    return [each["content"] for each in distribution["hashes"]]


def test_a_licence_is_called_as_spdx_calls_it(bundle: Path) -> None:
    components = {each["name"]: each for each in json.loads(bill(bundle))["components"]}

    assert components["azure-identity"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert components["jsonpickle"]["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
