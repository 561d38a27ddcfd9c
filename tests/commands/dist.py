"""`make dist`: wheel and sdist of what is committed, tried in a fresh environment outside of the repository.

A commit that is tagged `vVERSION` makes that version, by setup.cfg; any other one `VERSION.devN`, which grows
with each commit and comes before it. Besides: what an admin's careful install has, as a bill of materials.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import uv

from tests import REPOSITORY

_BILL = """\
import sys
from pathlib import Path
from azureml_databricks.admin.bundle import sbom
folder, lock = Path(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8")
print(sbom.bill_of_materials(folder, lock, {"for": "an admin's machine"}), end="")
"""


class DistError(Exception):
    """Why there is no distribution, in one line."""


def main() -> None:
    """Make them into `dist`."""
    out = REPOSITORY / "dist"
    tag = os.environ.get("RELEASE_TAG", "")
    try:
        version = version_of(REPOSITORY)
        if tag and tag != f"v{version}":
            raise DistError(f"the tag is {tag}, and setup.cfg of a tagged commit makes v{version}")
        made = build(REPOSITORY, version, out)
        with tempfile.TemporaryDirectory() as scratch:
            bill = tried(made, Path(scratch))
    except DistError as error:
        sys.exit(f"make dist: {error}")
    beside = out / "beside"
    beside.mkdir(exist_ok=True)
    (beside / f"azureml-databricks-{version}.cdx.json").write_text(bill)
    shutil.copy(REPOSITORY / "bootstrap/azureml_databricks/admin/requirements.txt", beside)
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        print(f"{path.relative_to(REPOSITORY)}  {path.stat().st_size:,} bytes")


def version_of(repository: Path) -> str:
    """Return the version that a commit makes.

    Raises:
        DistError: there is something that is not committed.
    """
    if changed := _run("git", "status", "--porcelain", cwd=repository).strip():
        raise DistError(f"commit first: {changed.splitlines()[0].strip()}")
    found = re.search(r"^version = (.+)$", (repository / "setup.cfg").read_text(), re.MULTILINE)
    assert found
    tags = _run("git", "tag", "--points-at", "HEAD", cwd=repository).split()
    if f"v{found[1]}" in tags:
        return found[1]
    return f"{found[1]}.dev{_run('git', 'rev-list', '--count', 'HEAD', cwd=repository).strip()}"


def build(repository: Path, version: str, out: Path) -> Path:
    """Build the sdist of what is committed, and the wheel from that; return the wheel."""
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=repository, capture_output=True, check=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(scratch, filter="data")
        config = Path(scratch, "setup.cfg")
        text = re.sub(r"^version = .+$", f"version = {version}", config.read_text(), flags=re.MULTILINE)
        config.write_text(text)
        _run(uv.find_uv_bin(), "build", "--quiet", "--out-dir", str(out), cwd=Path(scratch))
    (out / ".gitignore").unlink(missing_ok=True)
    return next(out.glob("*.whl"))


def tried(wheel: Path, scratch: Path) -> str:
    """Install a wheel as carefully as an admin can, use it, and return the bill of what is installed."""
    uv_bin, lock = uv.find_uv_bin(), REPOSITORY / "bootstrap/azureml_databricks/admin/requirements.txt"
    venv = scratch / "venv"
    _run(uv_bin, "venv", "--quiet", "--python", sys.executable, str(venv), cwd=scratch)
    install = [uv_bin, "pip", "install", "--quiet", "--python", str(venv)]
    _run(*install, "--require-hashes", "--requirements", str(lock), cwd=scratch)
    _run(*install, "--no-deps", str(wheel), cwd=scratch)
    command = str(venv / "bin/azureml-databricks")
    assert "In order of work" in _run(command, "--help", cwd=scratch)
    options = ("--runtime", "15.4", "--location", "/Volumes/main/default/azureml", "--out", "out")
    _run(command, "bundle", *options, cwd=scratch)
    assert (scratch / "out/azureml-databricks.sh").read_text().startswith("#!")
    site_packages = next((venv / "lib").glob("python*/site-packages"))
    python = str(venv / "bin/python")
    return _run(python, "-c", _BILL, str(site_packages), str(lock), cwd=scratch)


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DistError(f"{' '.join(command[:3])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    main()
