# SPDX-License-Identifier: BSD-2-Clause
"""Theory: the AMD-V engine was not written to one implementation. Bochs' has the next RIP and flush by ASID, which QEMU's
has not, and checks what VMRUN gets."""

import pytest
from vms import POWER_OFF, guest, linux, stopped

pytestmark = pytest.mark.bochs

BOCHS_AMD = {"machine": "bochs", "cpu_model": "ryzen"}


def test_tiny_guests(boot):
    machine = boot(POWER_OFF + guest("real", "hello-real.bin", 'format = "flat"\nentry = "real"') +
                   guest("long", "hello-multiboot64.elf"), cpus=2, **BOCHS_AMD)
    machine.expect(r"preflight: AMD-V: yes")
    machine.expect_in_any_order(r"GUEST: hello from real", r"GUEST: hello from multiboot64",
                                stopped("real", "debug-exit status=0"), stopped("long", "debug-exit status=0"))
    machine.succeed()


def test_the_benchmark_measures_everything(boot):
    machine = boot(POWER_OFF + guest("bench", "bench.elf"), **BOCHS_AMD)
    machine.expect(r"BENCH end")
    machine.succeed()
    assert not machine.found(r"BENCH \w+ -$")


@pytest.mark.slow
@pytest.mark.full
def test_linux_with_disk_rng_and_console(boot):
    machine = boot(POWER_OFF + linux(cmdline="rm.test=disk"), **BOCHS_AMD)
    machine.expect(r"GUEST: all ok")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace")
