# SPDX-License-Identifier: BSD-2-Clause
import re
import shutil

import pytest
from harness import KERNEL, Booter
from ringmaster import TREE


@pytest.fixture
def boot(request):
    """boot(TOML text, machine="bochs", cpus=1, …) -> harness.Boot"""
    assert KERNEL.exists(), f"{KERNEL} is not built: make"
    directory = TREE / "build/tests" / re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    shutil.rmtree(directory, ignore_errors=True)
    booter = Booter(directory)
    yield booter
    booter.close()
