# SPDX-License-Identifier: BSD-2-Clause
"""Theory: Ringmaster runs where most people will try it first: in QEMU/KVM with nested VMX. KVM checks a
VM entry more strictly than Bochs does, and only here are VT-x, x2APIC and a DMAR table in one machine."""

import pytest
from nested import NestedQemu
from vms import POWER_OFF, guest, linux, stopped

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(900)]

NESTED_SECONDS = 600


def test_tiny_guest(boot):
    machine = boot(POWER_OFF + guest("tiny", "hello-multiboot.elf"), machine=NestedQemu)
    machine.expect(r"preflight: .*VT-d: (?!none)", NESTED_SECONDS)
    machine.expect(r"GUEST: hello from multiboot", NESTED_SECONDS)
    machine.expect(stopped("tiny", "debug-exit status=0"), NESTED_SECONDS)
    machine.succeed(NESTED_SECONDS)


def test_linux_with_disk_rng_and_console(boot):
    machine = boot(POWER_OFF + linux(cmdline="rm.test=disk"), machine=NestedQemu)
    machine.expect(r"GUEST: all ok", NESTED_SECONDS)
    machine.expect(stopped("linux", "shutdown"), NESTED_SECONDS)
    machine.succeed(NESTED_SECONDS)
    machine.absent(r"GUEST: FAILED|event=panic")


def test_two_linux_guests(boot):
    machine = boot(POWER_OFF + linux("one", cmdline="rm.test=disk") + linux("two", cmdline="rm.test=disk"), machine=NestedQemu,
                   memory=600)
    machine.expect_in_any_order(r"\[one\] GUEST: all ok", r"\[two\] GUEST: all ok", stopped("one", "shutdown"),
                                stopped("two", "shutdown"), timeout=NESTED_SECONDS)
    machine.succeed(NESTED_SECONDS)
    machine.absent(r"GUEST: FAILED|event=panic")
