# SPDX-License-Identifier: BSD-2-Clause
"""Theory: a panic says who called whom, to where that CPU began, although no function keeps a frame pointer. The fault is
not ours: QEMU's monitor lets a CPU have a machine check that nothing survives."""

from screen import Monitor
from vms import guest

BANK, UNCORRECTED, MCG_STATUS = 1, 0xBE00_0000_0000_0000, 0x5  # SDM 3B, "IA32_MCi_STATUS MSRS": VAL, UC, EN, PCC and more
CPU = 1


def test_a_machine_check_shows_the_way_to_it(boot):
    machine = boot('[ringmaster]\non_idle = "shell"\n' + guest("echo", "echo.elf", "cpus = [0]"), machine="qemu-tcg", cpus=2)
    machine.expect(r"GUEST: echo is ready")
    with Monitor(machine.session) as monitor:
        monitor.human(f"mce {CPU} {BANK} {UNCORRECTED:#x} {MCG_STATUS:#x} 0 0")
    machine.expect(rf"cpu{CPU} trap: error: #MC ")
    machine.expect(rf"panic: error: backtrace of cpu{CPU}:")
    for function in ("sched_loop", "ap_main", "ap_entry"):
        machine.expect(rf"panic: error:   [0-9a-f]{{16}} {function}\+0x")
    machine.fail()
