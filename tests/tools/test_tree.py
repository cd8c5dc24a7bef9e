# SPDX-License-Identifier: BSD-2-Clause
"""Theory: the house's rules that a script can check hold for the whole tree."""

import subprocess

import pytest
from ringmaster import TREE

pytestmark = pytest.mark.quick


def test_nobody_includes_what_its_layer_may_not():
    done = subprocess.run([TREE / "scripts/layers"], cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("config", sorted(path.name for path in (TREE / "configs").glob("*.toml")))
def test_descriptions_are_right(config):
    """But for the files, which are built."""
    done = subprocess.run([TREE / "scripts/mkiso", f"configs/{config}"], cwd=TREE, capture_output=True, text=True, check=False)
    mistakes = [line for line in done.stderr.splitlines() if "no file" not in line]
    assert not mistakes
