# SPDX-License-Identifier: BSD-2-Clause
"""Theory: who has a screen and a keyboard, and no serial line, can do what the others can: keys of the PC's own keyboard
arrive, with Shift and Ctrl, and what they bring about is on the screen. Under BIOS as VGA text, under UEFI drawn."""

import pytest
from screen import Monitor, expect_on_screen
from vms import guest

pytestmark = pytest.mark.tcg

IDLE_SHELL = '[ringmaster]\non_idle = "shell"\n' + guest("tiny", "hello-multiboot.elf")
CTRL_A_X = ["ctrl-a", "x"]
LOG_WARN = ["l", "o", "g", "spc", "w", "a", "r", "x", "backspace", "n", "ret"]
SHOUT = ["shift-h", "shift-i", "ret"]


def press(monitor, keys):
    for key in keys:
        monitor.human(f"sendkey {key} 20")


@pytest.mark.parametrize("firmware, read", [("bios", Monitor.vga_text), ("uefi", Monitor.framebuffer_text)])
def test_a_keyboard_is_enough(boot, firmware, read):
    machine = boot(IDLE_SHELL, machine="qemu-tcg", firmware=firmware)
    machine.expect(r"main: no VM runs")
    with Monitor(machine.session) as monitor:
        press(monitor, SHOUT)
        machine.expect(r"unknown command 'HI'")
        press(monitor, LOG_WARN)
        machine.expect(r"^log level: warn")
    expect_on_screen(machine, read, "unknown command 'HI'")
    with Monitor(machine.session) as monitor:
        press(monitor, CTRL_A_X)
    machine.expect(r"^rm: event=exit status=0")
    machine.succeed()


@pytest.mark.parametrize("firmware, read", [("bios", Monitor.vga_text), ("uefi", Monitor.framebuffer_text)])
def test_top_is_refreshed_in_place(boot, firmware, read):
    """Bug: each page came below the last one, and the screen scrolled."""
    machine = boot(IDLE_SHELL, machine="qemu-tcg", firmware=firmware)
    machine.expect(r"main: no VM runs")
    with Monitor(machine.session) as monitor:
        press(monitor, ["t", "o", "p", "ret"])
    for _ in range(4):
        machine.expect(r"VM +STATE .*\(q ends\)")
    expect_on_screen(machine, read, "VM                       STATE", "tiny                     empty")
    with Monitor(machine.session) as monitor:
        lines = read(monitor)
        press(monitor, ["q", *CTRL_A_X])
    assert lines[0].endswith("(q ends)") and lines[1].startswith("tiny")
    assert not any(lines[2:])
    machine.succeed()
