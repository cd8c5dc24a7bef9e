# SPDX-License-Identifier: BSD-2-Clause
"""For all tests: where modules are found, booting, and the order. Slow tests start first, so that none is left
to run alone at the end."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TREE / "scripts"), str(TREE / "tests/boot"), str(TREE / "tests/lab")]
from harness import KERNEL, Booter  # noqa: E402


# The virtualization engines and the emulator that has each: a test marked `engines` runs on all of them, in `make
# test-all` only on those of engines(full=[...]).
ENGINES = {"vt-x": "bochs", "amd-v": "qemu-tcg"}
MARKERS = {"bochs": pytest.mark.bochs, "qemu-tcg": pytest.mark.tcg}
SLOWEST_FIRST = ("lab", "slow", "bochs", "tcg")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: [not item.get_closest_marker(marker) for marker in SLOWEST_FIRST])


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("engines")
    if marker and "boot" in metafunc.fixturenames:
        full = marker.kwargs.get("full", ())
        engines = [pytest.param(machine, id=engine, marks=[MARKERS[machine], *[pytest.mark.full] * (engine in full)])
                   for engine, machine in ENGINES.items()]
        metafunc.parametrize("boot", engines, indirect=True)


def pytest_terminal_summary(terminalreporter):
    """What tests have measured (record_property)."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, ())
               if report.user_properties]
    if reports:
        terminalreporter.section("figures")
    for report in sorted(reports, key=lambda report: report.nodeid):
        figures = ", ".join(f"{name} {value}" for name, value in report.user_properties)
        terminalreporter.write_line(f"{report.nodeid.split('::')[-1]}: {figures}")


@pytest.fixture
def boot(request):
    """boot(TOML text, machine="bochs", cpus=1, …) -> harness.Boot; the machine is that of the engine, if the test is marked."""
    assert KERNEL.exists(), f"{KERNEL} is not built: make"
    directory = TREE / "build/tests" / re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    shutil.rmtree(directory, ignore_errors=True)
    booter = Booter(directory, getattr(request, "param", "bochs"))
    yield booter
    booter.close()


@pytest.fixture(name="disk_image")
def make_disk_image(tmp_path):
    """An empty file system, for a disk of the machine's own."""
    path = tmp_path / "disk.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0", path, "64M"], check=True)
    return path
