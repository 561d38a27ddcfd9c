"""An Azure of this machine's own, for tests: unmodified clients, real host names, real protocols.

How it works, what it does not do, how to add to it: README.md beside this file.
"""

from __future__ import annotations

from tests.emulated.azure.clouds import CHINA, PUBLIC, US_GOVERNMENT, Cloud
from tests.emulated.azure.emulator import EmulatedAzure

__all__ = ["CHINA", "PUBLIC", "US_GOVERNMENT", "Cloud", "EmulatedAzure"]
