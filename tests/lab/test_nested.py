# SPDX-License-Identifier: BSD-2-Clause
"""Theory: Ringmaster runs where most people will try it first: in QEMU/KVM with nested VMX. KVM checks a
VM entry more strictly than Bochs does, and only here are VT-x, x2APIC and a DMAR table in one machine."""

import pytest
from devices import EDU, NVME, hostile, with_device
from nested import NestedQemu, nested_with
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


def test_linux_with_a_disk_behind_the_iommu(boot, disk_image):
    """Every address that the disk uses goes through VT-d's tables, and every message through its table, with x2APIC ids."""
    machine = boot(POWER_OFF + with_device("00:05.0", "rm.test=pci-disk disk=nvme0n1 mib=4"), memory=600,
                   machine=nested_with(NVME, drives=[("disk", disk_image)]))
    machine.expect(r"vtd: interrupt remapping on, x2APIC ids", NESTED_SECONDS)
    machine.expect(r"pci: 0000:00:05\.0 is linux's 00:01\.0", NESTED_SECONDS)
    machine.expect(r"GUEST: disk ok", NESTED_SECONDS)
    machine.expect(r"GUEST: messages: [1-9]", NESTED_SECONDS)
    machine.expect(stopped("linux", "shutdown"), NESTED_SECONDS)
    machine.succeed(NESTED_SECONDS)
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|iommu: .*refused")


def test_a_hostile_device(boot):
    """What it is told cannot be typed here: it moves its guest's memory, and reads what it tries by itself."""
    machine = boot(POWER_OFF + hostile("00:07.0", extra='cmdline = "read=1000000"'), machine=nested_with(EDU))
    machine.expect(r"GUEST: dma ok", NESTED_SECONDS)
    machine.expect(r"iommu: .*0000:00:07\.0 \(hostile\): read of 0x1000000 refused", NESTED_SECONDS)
    machine.expect(stopped("hostile", "debug-exit status=0"), NESTED_SECONDS)
    machine.succeed(NESTED_SECONDS)
