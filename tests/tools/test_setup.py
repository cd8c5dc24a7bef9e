# SPDX-License-Identifier: BSD-2-Clause
"""Theory: scripts/setup says what is missing and what it is for, installs exactly that, does nothing when
all is there, and names what stands in its way. The package tools are stand-ins that record their use."""

import os
import subprocess
import time

import pytest
from ringmaster import TREE

pytestmark = pytest.mark.quick

SYSTEM_TOOLS = ("sh", "sed", "awk", "env", "cat", "printf")


@pytest.fixture
def setup(tmp_path):
    """setup(*arguments, missing=…, uid=0, without=…) -> the finished process; .calls are apt-get's."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for tool in SYSTEM_TOOLS:
        path = next(f"{folder}/{tool}" for folder in ("/bin", "/usr/bin") if os.path.exists(f"{folder}/{tool}"))
        (bin_dir / tool).symlink_to(path)

    def stand_in(name, script):
        path = bin_dir / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(*arguments, missing=(), uid=0, without=(), apt_status=0):
        calls = tmp_path / "calls"
        calls.write_text("")
        stand_in("dpkg-query", "\n".join([
            'shift 2; for p; do case " $MISSING " in *" $p "*) status=1 ;; *) echo "$p installed" ;; esac; done',
            "exit ${status:-0}"]))
        stand_in("apt-get", f'echo "apt-get $*" >>{calls}; exit {apt_status}')
        stand_in("sudo", f'echo sudo >>{calls}; exec "$@"')
        stand_in("id", f"echo {uid}")
        for name in without:
            (bin_dir / name).unlink()
        done = subprocess.run([TREE / "scripts/setup", *arguments], capture_output=True, text=True, check=False,
                              env={"PATH": str(bin_dir), "MISSING": " ".join(missing)})
        done.calls = calls.read_text().splitlines()
        return done

    return run


def test_does_nothing_when_all_is_there(setup):
    start = time.monotonic()
    done = setup()
    assert (done.returncode, done.stdout, done.stderr, done.calls) == (0, "", "", [])
    assert time.monotonic() - start < 0.3


def test_installs_what_is_missing_and_says_why(setup):
    done = setup(missing=["nasm", "bochs"])
    assert done.returncode == 0
    assert "bochs                    emulates a CPU with VT-x" in done.stdout
    assert done.calls[0].startswith("apt-get update")
    assert done.calls[1].endswith("--no-install-recommends nasm bochs")


def test_other_sets_are_installed_only_when_asked_for(setup):
    assert setup(missing=["cppcheck"]).calls == []
    assert setup("lint", missing=["cppcheck"]).calls[1].endswith(" cppcheck")


def test_check_installs_nothing(setup):
    done = setup("--check", missing=["nasm"])
    assert (done.returncode, done.calls) == (1, [])
    assert "nasm" in done.stdout


def test_uses_sudo_when_not_root(setup):
    done = setup(missing=["nasm"], uid=1000)
    assert done.returncode == 0
    assert done.calls[0] == "sudo"


@pytest.mark.parametrize("case, message", [
    (dict(missing=["nasm"], uid=1000, without=["sudo"]), "needs root, and there is no sudo"),
    (dict(without=["dpkg-query"]), "no Debian system"),
    (dict(without=["apt-get"]), "no Debian system"),
    (dict(missing=["nasm"], apt_status=100), "apt-get update failed"),
])
def test_names_what_stands_in_its_way(setup, case, message):
    done = setup(**case)
    assert done.returncode == 1
    assert message in done.stderr


def test_an_unknown_argument_is_refused(setup):
    assert "unknown argument 'frobnicate'" in setup("frobnicate").stderr
