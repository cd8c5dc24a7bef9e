# SPDX-License-Identifier: BSD-2-Clause
"""Theory: one ISO boots from BIOS and from UEFI, as CD, disk and USB stick. TCG has no VT-x, so each boot
ends behind the preflight report: by one clear line and a power-off, not by a hang or a reset."""

import pytest
from screen import Monitor, expect_on_screen
from vms import POWER_OFF, guest

pytestmark = pytest.mark.tcg


@pytest.mark.parametrize("media", ["cd", "disk", "usb"])
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_boots_to_the_preflight_report(boot, firmware, media):
    machine = boot(POWER_OFF + guest("tiny", "hello-multiboot.elf"), machine="qemu-tcg", firmware=firmware, media=media, cpus=2)
    machine.expect(r"preflight: .*VT-x is missing: ")
    machine.expect(r"^rm: event=exit status=1")
    machine.fail()
    machine.absent(r"event=panic")
    machine.absent(r"event=vm-start")


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_halts_where_nobody_asked_for_a_power_off(boot, firmware):
    machine = boot(guest("tiny", "hello-multiboot.elf"), machine="qemu-tcg", firmware=firmware)
    machine.expect(r"preflight: .*VT-x is missing: ")
    machine.expect(r"preflight: halted")
    assert machine.session.running


@pytest.mark.parametrize("firmware, read", [("bios", Monitor.vga_text), ("uefi", Monitor.framebuffer_text)])
def test_the_screen_shows_what_the_serial_line_does(boot, firmware, read):
    machine = boot(guest("tiny", "hello-multiboot.elf"), machine="qemu-tcg", firmware=firmware)
    machine.expect(r"preflight: halted")
    log = [line for line in machine.lines if line.startswith("[")]
    assert "Ringmaster, a hypervisor" in log[0]
    expect_on_screen(machine, read, *(line[:79] for line in log), "rm: event=exit status=1")


def test_starts_every_cpu(boot):
    machine = boot(POWER_OFF + guest("tiny", "hello-multiboot.elf"), machine="qemu-tcg", cpus=4)
    machine.expect(r"preflight: .*CPUs: 4\b")
    machine.fail()
