# SPDX-License-Identifier: BSD-2-Clause
"""Theory: no seed of a fuzz target, and none of as many inputs as its line says that a fixed seed makes of them, ends it.
The same inputs each time: a failure here is this change's. `make fuzz` looks for new ones."""

import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
PROGRAMS = TREE / "build/host/fuzz"
TARGETS = sorted(source.stem.removesuffix("_fuzz") for source in (TREE / "tests/fuzz").glob("*_fuzz.c"))
RUNS = 4000  # of inputs made of the seeds; of slow targets fewer
RUNS_OF = {"audit": 1000, "exits": 1000, "net": 1000, "pci_scan": 1000, "trace": 500, "vsock": 1000, "vtd": 200}
SECONDS = 60  # of an input: a net, as it may be one that ends never


@pytest.mark.quick
@pytest.mark.parametrize("target", TARGETS)
def test_fuzz(target, tmp_path):
    program = PROGRAMS / f"{target}_fuzz"
    seeds = TREE / "tests/fuzz/corpus" / target
    assert program.exists(), f"{program} is not built: make fuzz-programs"
    assert any(seeds.iterdir()), f"no seeds in {seeds}"
    done = subprocess.run([program, "-seed=1", f"-runs={RUNS_OF.get(target, RUNS)}", "-max_len=4096", f"-timeout={SECONDS}",
                           "-reload=0", f"-artifact_prefix={tmp_path}/", tmp_path, seeds],
                          capture_output=True, text=True, errors="replace", cwd=TREE, check=False)
    assert done.returncode == 0, f"{done.stderr[-8000:]}\nthe input: {[str(file) for file in tmp_path.iterdir()]}"
