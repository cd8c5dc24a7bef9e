# SPDX-License-Identifier: BSD-2-Clause
"""Theory: each cmocka program under build/host, by gcc and by clang, with ASan and UBSan, exits with 0.
The programs are found and not listed: a new *_test.c needs no line here."""

import subprocess
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[2] / "build/host"
SOURCES = Path(__file__).resolve().parent
COMPILERS = ("gcc", "clang")
PROGRAMS = [f"{compiler}/{source.stem}" for compiler in COMPILERS for source in sorted(SOURCES.glob("*_test.c"))]


@pytest.mark.quick
@pytest.mark.parametrize("program", PROGRAMS or ["none"])
def test_host(program):
    path = BUILD / program
    assert path.exists(), f"{path} is not built: make host-programs"
    done = subprocess.run([path], capture_output=True, text=True, errors="replace", cwd=BUILD.parents[1], check=False)
    assert done.returncode == 0, f"\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
