"""The Python of this machine that stands for the node's own, which Databricks takes from Ubuntu."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from azureml_databricks.admin.bundle import interpreter


@dataclass(frozen=True)
class Interpreter:
    """A Python, and where a node has it.

    Attributes:
        executable: on this machine.
        version: its minor version, such as "3.11".
        on_node: the executable's path on a node.
    """

    executable: Path
    version: str
    on_node: Path

    @classmethod
    def find(cls, version: str) -> Interpreter:
        """Return the distribution's Python, or else one of pyenv or uv, or else one that uv installs.

        On a node each lies where a distribution has its own.

        Raises:
            InterpreterError: there is none, and uv cannot fetch one.
        """
        distribution = Path("/usr/bin") / f"python{version}"
        if distribution.exists():
            return cls(distribution, version, distribution)
        return cls(interpreter.find(version).resolve(), version, distribution)

    @property
    def of_distribution(self) -> bool:
        """Whether the machine's distribution brings it: a node that overlays the machine has it."""
        return self.executable == self.on_node

    def describe(self) -> str:
        """Return the exact version and build."""
        return subprocess.run(
            [self.executable, "-I", "-S", "-c", "import sys; print(sys.version)"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def copy_to(self, root: Path) -> None:
        """Copy it to its place under `root`, without what has been installed into it.

        CPython finds its prefix from where its executable lies, so the copy stands on its own.
        """
        executable = root / self.on_node.relative_to("/")
        library = executable.parents[1] / "lib" / f"python{self.version}"
        executable.parent.mkdir(parents=True)
        shutil.copy2(self.executable, executable)
        shutil.copytree(
            self.executable.parents[1] / "lib" / f"python{self.version}",
            library,
            symlinks=True,
            ignore=shutil.ignore_patterns("test", "tests", "site-packages", "config-*", "*.a"),
        )
        if self.of_distribution:
            self._copy_distribution_parts(root)
        else:
            self._copy_shared_library(root)
            self._lay_sitecustomize(root)
            # Where a distribution has its dist-packages.
            (library / "site-packages").mkdir()

    def _lay_sitecustomize(self, root: Path) -> None:
        """Ubuntu's own sitecustomize: /usr/lib/python3.X/sitecustomize.py, a link to /etc/python3.X.

        Source: https://packages.ubuntu.com/jammy/libpython3.11-minimal
        """
        file = root / "etc" / f"python{self.version}" / "sitecustomize.py"
        file.parent.mkdir(parents=True)
        file.write_text("try:\n    import apport_python_hook\nexcept ImportError:\n    pass\n")
        link = root / "usr/lib" / f"python{self.version}" / "sitecustomize.py"
        link.symlink_to(Path("../../..") / file.relative_to(root))

    def _copy_shared_library(self, root: Path) -> None:
        # The executable names the folder where it was built, which a node has not: /usr/lib always counts.
        for library in (self.executable.parents[1] / "lib").glob("libpython*.so*"):
            shutil.copy2(library, root / "usr/lib")

    def _copy_distribution_parts(self, root: Path) -> None:
        configuration = Path("etc") / f"python{self.version}"
        shutil.copytree("/" / configuration, root / configuration)
        # Debian's is an absolute link, which would lead out of the root.
        link = root / f"usr/lib/python{self.version}/sitecustomize.py"
        link.unlink()
        link.symlink_to(Path("../../..") / configuration / "sitecustomize.py")
        shutil.copytree(
            "/usr/lib/python3/dist-packages",
            root / "usr/lib/python3/dist-packages",
            symlinks=True,
            ignore=lambda folder, names: {name for name in names if is_foreign(Path(folder) / name)},
        )


def is_foreign(path: Path) -> bool:
    """Return whether `path` is a `.pth` that somebody other than the distribution put there.

    Such a file runs at every start of every Python: a node must not have this machine's.
    """
    if path.suffix != ".pth" or not shutil.which("dpkg-query"):
        return False
    query = subprocess.run(["dpkg-query", "--search", path], check=False, capture_output=True)
    return query.returncode != 0
