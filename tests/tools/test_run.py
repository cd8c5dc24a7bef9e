# SPDX-License-Identifier: BSD-2-Clause
"""Theory: scripts/run tells by its exit status how a boot ended, gives the console to the terminal, and
leaves nothing behind. The hypervisor in TCG without AMD-V, which stops at its preflight report, is enough for that."""

import os
import re
import select
import shutil
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest
from harness import KERNEL, Booter
from ringmaster import TREE
from ringmaster.iso import make_iso
from ringmaster.session import SerialLog
from vms import POWER_OFF, guest

pytestmark = pytest.mark.tcg
RUN = str(TREE / "scripts/run")
TCG = ("--machine", "qemu-tcg", "--cpu-model", "max,-svm", "--timeout", "60")


@pytest.fixture(scope="module")
def isos(tmp_path_factory):
    """(ends by itself, halts)"""
    directory = tmp_path_factory.mktemp("isos")
    tiny = guest("tiny", "hello-multiboot.elf")
    result = []
    for name, text in (("ends.iso", POWER_OFF + tiny), ("halts.iso", tiny)):
        make_iso(Booter(directory).config(text), KERNEL, directory / name)
        result.append(str(directory / name))
    return result


def run(*arguments, **options):
    return subprocess.run([RUN, *arguments], **options, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)


def emulators(iso):
    """The process IDs of those that have the ISO on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if "qemu" in os.readlink(process / "exe") and iso.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            pass  # it has just ended
    return found


def test_reported_failure_is_1(isos, tmp_path):
    done = run(*TCG, "--serial", str(tmp_path / "serial"), isos[0])
    assert done.returncode == 1
    assert "run: Ringmaster reported failure" in done.stderr
    assert "rm: event=exit status=1" in done.stdout
    assert "rm: event=exit status=1" in (tmp_path / "serial").read_text(errors="replace")


def test_until_is_0(isos):
    assert run(*TCG, "--until", r"VT-x is miss\w+", isos[1]).returncode == 0


def test_timeout_is_124(isos):
    assert run("--machine", "qemu-tcg", "--timeout", "0.1", isos[1]).returncode == 124


def test_an_emulator_that_fails_is_3(isos):
    done = run(*TCG, "--cpu-model", "nonsense", isos[1])
    assert done.returncode == 3
    assert "unable to find CPU model" in done.stderr


@pytest.mark.parametrize("arguments, message", [
    (["--machine", "bochs", "--media", "usb"], "does not boot from usb"),
    (["--machine", "bochs", "--firmware", "uefi"], "no UEFI"),
    (["--until", "("], "no regular expression"),
    (["--cpus", "0"], "at least 1"),
    (["--machine", "vax"], "invalid choice"),
])
def test_wrong_usage_is_2(isos, arguments, message):
    done = run(*arguments, isos[1])
    assert done.returncode == 2
    assert message in done.stderr


def test_a_missing_iso_is_2(tmp_path):
    assert run(str(tmp_path / "none.iso")).returncode == 2


def test_auto_says_what_it_chose_and_why(isos):
    done = run("--timeout", "0.1", isos[1])
    assert "run: machine qemu-tcg: it emulates AMD-V; not KVM: " in done.stderr or "run: machine qemu-kvm: " in done.stderr


def test_auto_falls_back_where_there_is_no_qemu(isos, tmp_path):
    for program in ("bochs", "python3", "env"):
        (tmp_path / program).symlink_to(shutil.which(program))
    done = run("--timeout", "0.1", isos[1], env={**os.environ, "PATH": str(tmp_path)})
    assert re.search(r"run: machine bochs: it emulates VT-x; not QEMU: no qemu-system-x86_64 here: .*; not KVM: ", done.stderr)


def test_the_console_ends_by_its_escape_and_restores_the_terminal(isos, tmp_path):
    run_it = f"{RUN} {' '.join(TCG)} {isos[1]}; echo status=$?"
    script = f"stty -a >before; {run_it}; stty -a >after; cmp before after && echo restored"
    child = pexpect.spawn("/bin/sh", ["-c", script], cwd=tmp_path, timeout=60)
    child.expect("preflight: halted")
    child.send("\x03")  # Ctrl-C belongs to the guest
    child.send("\x1d")
    child.expect("status=130")
    child.expect("restored")
    assert not emulators(isos[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_signal_leaves_an_emulator_behind(isos, number):
    process = subprocess.Popen([RUN, *TCG, isos[1]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        seen = b""
        while b"preflight: " not in seen:
            seen += os.read(process.stdout.fileno(), 4096)
        ended = [os.pidfd_open(pid) for pid in emulators(isos[1])]
        assert ended
        process.send_signal(number)
        assert process.wait(30) == (-9 if number == signal.SIGKILL else 130)
        for descriptor in ended:
            poller = select.poll()
            poller.register(descriptor)
            assert poller.poll(10_000), "the emulator still runs"
            os.close(descriptor)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def test_log_lines_are_as_a_terminal_shows_them():
    log = SerialLog()
    log.feed(b"\x1b[2J\x1b[01;01Hone\r\r\ntwo\rTWO\r\nprom")
    log.feed(b"pt# ")
    assert log.lines == ["one", "TWO"]
    assert log.partial == "prompt# "
    match, position = log.find(re.compile("prompt"))
    assert match and position == (2, 6)
    log.feed(b"prompt\n")
    assert log.find(re.compile("prompt"), position)[0].start() == 8
