"""``python -m tests.commands.coverage``: writes tests/emulated/COVERAGE.md, and says what names no source."""

from __future__ import annotations

import sys

from tests.commands.coverage import page


def main() -> None:
    page.write()
    if found := page.missing():
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
