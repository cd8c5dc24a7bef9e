# SPDX-License-Identifier: BSD-2-Clause
"""Theory: one ISO boots from BIOS and from UEFI, as CD, disk and USB stick, on one CPU and on several, and runs the same
guests. A machine without virtualization gets one clear line for each engine and a power-off, not a hang or a reset."""

import pytest
from screen import Monitor, expect_on_screen
from vms import POWER_OFF, guest, linux, stopped

pytestmark = pytest.mark.tcg

FIRMWARE = pytest.mark.parametrize("firmware", ["bios", "uefi"])
NO_ENGINE = "max,-svm"


@pytest.mark.parametrize("media", ["cd", "disk", "usb"])
@FIRMWARE
def test_runs_a_guest(boot, firmware, media):
    machine = boot(POWER_OFF + guest("tiny", "hello-multiboot.elf"), machine="qemu-tcg", firmware=firmware, media=media, cpus=2)
    machine.expect(r"GUEST: hello from multiboot")
    machine.expect(stopped("tiny", "debug-exit status=0"))
    machine.succeed()
    machine.absent(r"event=panic")


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("cpus", [1, 4])
@pytest.mark.parametrize("media", ["cd", "disk", "usb"])
@FIRMWARE
def test_runs_linux(boot, firmware, media, cpus):
    names = ["first", "second"]
    vms = [linux(name, cmdline="rm.test=disk") for name in names]
    machine = boot(POWER_OFF + "".join(vms), machine="qemu-tcg", firmware=firmware, media=media, cpus=cpus, memory=1024)
    machine.expect_in_any_order(*(rf"\[{name}\] GUEST: all ok" for name in names), *(stopped(name, "shutdown") for name in names))
    machine.succeed()
    machine.absent(r"event=panic|GUEST: FAILED")


@FIRMWARE
def test_says_what_each_engine_lacks(boot, firmware):
    machine = boot(POWER_OFF + guest("tiny", "hello-multiboot.elf"), machine="qemu-tcg", firmware=firmware, cpu_model=NO_ENGINE)
    machine.expect(r"preflight: .*VT-x is missing: ")
    machine.expect(r"preflight: .*AMD-V is missing: ")
    machine.expect(r"^rm: event=exit status=1")
    machine.fail()
    machine.absent(r"event=panic")
    machine.absent(r"event=vm-start")


@FIRMWARE
def test_halts_where_nobody_asked_for_a_power_off(boot, firmware):
    machine = boot(guest("tiny", "hello-multiboot.elf"), machine="qemu-tcg", firmware=firmware, cpu_model=NO_ENGINE)
    machine.expect(r"preflight: .*VT-x is missing: ")
    machine.expect(r"preflight: halted")
    assert machine.session.running


@pytest.mark.parametrize("firmware, read", [("bios", Monitor.vga_text), ("uefi", Monitor.framebuffer_text)])
def test_the_screen_shows_what_the_serial_line_does(boot, firmware, read):
    machine = boot(guest("tiny", "hello-multiboot.elf"), machine="qemu-tcg", firmware=firmware, cpu_model=NO_ENGINE)
    machine.expect(r"preflight: halted")
    log = [line for line in machine.lines if line.startswith("[")]
    assert "Ringmaster, a hypervisor" in log[0]
    expect_on_screen(machine, read, *(line[:79] for line in log), "rm: event=exit status=1")


def test_starts_every_cpu(boot):
    machine = boot(POWER_OFF + guest("tiny", "hello-multiboot.elf"), machine="qemu-tcg", cpus=4)
    machine.expect(r"preflight: .*CPUs: 4\b")
    machine.expect(r"smp: 4 CPUs online")
    machine.succeed()
