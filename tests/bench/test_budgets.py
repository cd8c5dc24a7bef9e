# SPDX-License-Identifier: BSD-2-Clause
"""Theory: what an exit, a switch, a packet, a VM costs is known to the instruction and to the byte, and no change makes it
dearer than budgets.json and figures.json allow. A change that makes it cheaper commits its figures."""

import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run")

pytestmark = [pytest.mark.bochs, pytest.mark.slow]


@pytest.mark.parametrize("part", ["exits", "devices", "vcpus", "growth", "sizes", pytest.param("linux", marks=pytest.mark.full)])
def test_nothing_is_over_its_budget(part):
    done = subprocess.run([RUN, "--only", part], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
