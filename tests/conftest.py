# SPDX-License-Identifier: BSD-2-Clause
"""For all tests: the tools' package, and the order. Slow tests start first, so that none is left to run
alone at the end."""

import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TREE / "scripts"), str(TREE / "tests/boot")]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: (not item.get_closest_marker("lab"), not item.get_closest_marker("slow"),
                                 not item.get_closest_marker("bochs"), not item.get_closest_marker("tcg")))
