# SPDX-License-Identifier: BSD-2-Clause
"""Theory: a PCI function that a guest was given works with the driver that every kernel has for it, by DMA
that the IOMMU confines to the guest's memory and interrupts that its table lets through; when the guest
ends, the next one gets the function as new."""

import re

import pytest
from devices import BLK, EDU, IOMMU, NET, NVME, hostile, machine_with, refused, with_device
from vms import POWER_OFF, guest, linux, linux_pc, options, stopped

pytestmark = [pytest.mark.tcg, pytest.mark.slow]


@pytest.mark.parametrize("device,address,disk", [(NVME, "00:05.0", "nvme0n1"), (BLK, "00:06.0", "vdb")], ids=["nvme", "virtio-blk"])
def test_a_disk(boot, disk_image, device, address, disk):
    machine = boot(POWER_OFF + with_device(address, f"rm.test=pci-disk disk={disk} mib=32"), memory=768,
                   machine=machine_with(device, drives=[("disk", disk_image)]))
    machine.expect(rf"pci: 0000:{re.escape(address)} is linux's 00:01.0")
    machine.expect(r"GUEST: disk ok sha256=[0-9a-f]{64}$")
    machine.expect(r"GUEST: messages: [1-9]")
    machine.expect(r"GUEST: all ok")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|iommu: .*refused")


TRIES = 'cmdline = "read=1000000"'


def test_without_an_iommu_it_is_refused(boot):
    machine = boot(options(iommu="off") + hostile("00:07.0"), machine=machine_with(EDU))
    machine.expect(refused("hostile", "no IOMMU confines it"))
    machine.fail()
    machine.absent("UNSAFE")


UNSAFE = r"iommu: .*UNSAFE: .*can read and write all memory"


@pytest.mark.parametrize("iommu,firmware", [(None, "bios"), (IOMMU, "uefi")], ids=["none", "off"])
def test_unsafe_dma(boot, disk_image, iommu, firmware):
    """With no IOMMU, a guest that sees its memory at the machine's addresses has a disk all the same."""
    config = options(unsafe_dma=True, iommu="off") + linux("linux", cmdline="rm.test=pci-disk disk=nvme0n1 mib=32",
                                                           extra='devices = ["00:05.0"]\nmemory_map = "identity"')
    machine = boot(config, memory=768, firmware=firmware, machine=machine_with(NVME, drives=[("disk", disk_image)], iommu=iommu))
    machine.expect(UNSAFE)
    machine.expect(r"GUEST: disk ok sha256=[0-9a-f]{64}$")
    machine.expect(r"GUEST: messages: [1-9]")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|iommu: .*refused")


def test_unsafe_dma_is_for_who_sees_the_machines_addresses(boot):
    """Also: there is one low memory in a machine; an IOMMU that is used is not switched off by this."""
    machine = boot(options(unsafe_dma=True) + hostile("00:07.0"), machine=machine_with(EDU, iommu=None))
    machine.expect(UNSAFE)
    machine.expect(r'event=vm-refused vm=hostile why="with no IOMMU, a device needs memory_map=identity')
    machine.fail()
    machine = boot(options(unsafe_dma=True) + guest("one", "hello-multiboot.elf", 'memory_map = "identity"')
                   + guest("two", "hello-multiboot.elf", 'memory_map = "identity"') + hostile("00:07.0", extra=TRIES),
                   machine=machine_with(EDU))
    machine.expect_in_any_order(r'event=vm-refused vm=two why="memory_map=identity: one has it', stopped("one", "debug-exit status=0"),
                                r"iommu: .*0000:00:07.0.*0x1000000", stopped("hostile", "debug-exit status=0"))
    machine.fail()
    machine.absent("UNSAFE|event=panic")


def test_the_machines_low_memory_is_not_all_of_it(boot):
    config = POWER_OFF + guest("all", "hello-multiboot.elf", 'memory_map = "identity"').replace('"16M"', '"1G"')
    machine = boot(config, machine=machine_with(iommu=None))
    machine.expect(r'event=vm-refused vm=all why="memory_map=identity: so much of the machine\'s low memory was not set aside')
    machine.fail()


def test_what_cannot_be_given(boot):
    machine = boot(POWER_OFF + hostile("00:1e.0", "nobody") + hostile("00:00.0", "bridge") + hostile("00:1f.2", "shared")
                   + hostile("00:07.0", "first", TRIES) + hostile("00:07.0", "second"), machine=machine_with(EDU), cpus=2)
    machine.expect_in_any_order(
        refused("nobody", "there is none"), refused("bridge", "bridges are the machine's"),
        refused("shared", "cannot tell it from its neighbours"), refused("second", "another VM has it"),
        r"first\] GUEST: dma ok", stopped("first", "debug-exit status=0"))
    machine.fail()
    machine.absent(r"event=panic")


def test_a_network_card(boot):
    """To the outside: QEMU's user network answers as 10.0.2.2."""
    machine = boot(POWER_OFF + with_device("00:08.0", "rm.test=pci-net ip=10.0.2.15/24 gateway=10.0.2.2"), memory=768,
                   machine=machine_with(NET, arguments=["-netdev", "user,id=out"]))
    machine.expect(r"GUEST: network up, 10\.0\.2\.15/24")
    machine.expect(r"GUEST: messages: [1-9]")
    machine.expect(r"GUEST: ping ok 10\.0\.2\.2")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|iommu: .*refused")


def test_two_guests_with_a_device_each(boot, disk_image):
    machine = boot(POWER_OFF + with_device("00:05.0", "rm.test=pci-disk disk=nvme0n1 mib=32", "one")
                   + with_device("00:08.0", "rm.test=pci-net ip=10.0.2.15/24 gateway=10.0.2.2", "two"),
                   machine=machine_with(NVME, NET, drives=[("disk", disk_image)], arguments=["-netdev", "user,id=out"]),
                   memory=1024, cpus=2)
    machine.expect_in_any_order(r"\[one\] GUEST: disk ok", r"\[one\] GUEST: all ok", stopped("one", "shutdown"),
                                r"\[two\] GUEST: ping ok", stopped("two", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|iommu: .*refused")


def test_the_next_guest_gets_it(boot, disk_image):
    """Restarted, destroyed while it works, and given to another VM: each finds a disk as new."""
    disk = "rm.test=pci-disk disk=nvme0n1 mib=8"
    machine = boot(with_device("00:05.0", disk, "one") + with_device("00:05.0", disk, "two"), memory=1024,
                   machine=machine_with(NVME, drives=[("disk", disk_image)]))
    machine.expect(refused("two", "another VM has it"))
    machine.expect(r"\[one\] GUEST: all ok")
    machine.expect(r"event=idle")
    machine.send("vm start one\n")
    machine.expect(r"GUEST: init up")
    machine.send("\x010vm stop one --force\n")
    machine.expect(stopped("one", "stopped"))
    machine.send("vm start two\n")
    machine.expect(r"GUEST: disk ok")
    machine.expect(r"GUEST: all ok")
    machine.expect(stopped("two", "shutdown"))
    machine.send("\x01x")
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|iommu: .*refused")


def test_the_shell_shows_functions_and_what_they_reach(boot, disk_image):
    machine = boot(with_device("00:05.0", "") + guest("tiny", "hello-multiboot.elf"), memory=768,
                   machine=machine_with(NVME, drives=[("disk", disk_image)]))
    machine.expect(r"GUEST: shell ready")
    machine.send("\x010pci\n")
    machine.expect(r"00:05\.0 .*8086:5845|00:05\.0.*NVM|0000:00:05\.0")
    machine.send("iommu\n")
    machine.expect(r"0000:00:05\.0 \(linux\) rw 0x0-")
    machine.expect(r"audit: 1 devices reach all memory of their guests, and nothing else")
    machine.absent(r"there is no IOMMU|does not hold")
    machine.send("\x01x")


def test_interrupts(boot):
    """By the pin and by message, on two devices that share a line (QEMU's, four slots apart, do)."""
    machine = boot(POWER_OFF + guest("one", "pci-irq.elf", extra='devices = ["00:07.0"]')
                   + guest("two", "pci-irq.elf", extra='devices = ["00:0b.0"]'),
                   machine=machine_with("edu,addr=7", "edu,addr=b"), cpus=2)
    machine.expect(r"pci: listening to \d+ inputs for pins")
    machine.expect_in_any_order(*(rf"\[{name}\] GUEST: ok: {check}$" for name in ("one", "two") for check in (
        "a pin interrupts", "a pin comes again until it is served", "the command register holds it back",
        "the IOAPIC holds it back", "a pin that flickers", "a message interrupts")),
        stopped("one", "debug-exit status=0"), stopped("two", "debug-exit status=0"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|iommu: .*refused")


def test_a_disk_by_its_pin(boot, disk_image):
    """Linux without messages: each request ends with a level that the host's line and the guest's agree on."""
    machine = boot(POWER_OFF + with_device("00:05.0", "pci=nomsi rm.test=pci-disk disk=nvme0n1 mib=32"), memory=768,
                   machine=machine_with(NVME, drives=[("disk", disk_image)]))
    machine.expect(r"GUEST: disk ok sha256=[0-9a-f]{64}$")
    machine.expect(r"GUEST: pins: [1-9]\d\d")
    machine.expect(r"GUEST: all ok")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|nobody cared|iommu: .*refused")


SERIAL = "pci-serial,chardev=line,addr=9"
"""Ports and a pin, and nothing else."""


def test_a_serial_card(boot):
    """Linux drives a card that has ports and a pin only."""
    machine = boot(POWER_OFF + with_device("00:09.0", "rm.test=pci-serial"), memory=768,
                   machine=machine_with(SERIAL, arguments=["-chardev", "file,id=line,path=line.log"]))
    machine.expect(r"GUEST: serial card at [0-9A-F]+, irq \d+")
    machine.expect(r"GUEST: serial card ok, pins [1-9]")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|nobody cared")
    assert (machine.session.workdir / "line.log").read_bytes().count(b"out of the guest") == 50


def test_resets(boot):
    """By its bus where a function has no reset of its own; where nothing resets it, it is said."""
    machine = boot(POWER_OFF + guest("port", "pci-irq.elf", extra='devices = ["01:00.0"]')
                   + guest("bare", "pci-irq.elf", extra='devices = ["00:07.0"]'), cpus=2,
                   machine=machine_with("pcie-root-port,id=rp,addr=6,chassis=1", "edu,bus=rp,addr=0", "edu,addr=7"))
    machine.expect_in_any_order(r"pci: 0000:01:00\.0: reset by its bus", r"pci: warning: 0000:00:07\.0: nothing resets it",
                                r"\[port\] GUEST: all checked", r"\[bare\] GUEST: all checked")
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|iommu: .*refused|01:00\.0: nothing|does not answer")


def pc(address, cmdline):
    return linux_pc(cmdline, f'devices = ["{address}"]')


E1000 = "{0},netdev=out,addr=8"
AHCI = ("ich9-ahci,id=sata,addr=a", "ide-hd,drive=disk,bus=sata.0")


@pytest.mark.parametrize("model,options", [("e1000", ""), ("e1000e", ""), ("e1000e", "pci=nomsi")],
                         ids=["e1000", "e1000e", "e1000e-by-its-pin"])
def test_a_pcs_network_card(boot, model, options):
    """The 82540EM has no messages, and ports besides its memory; the 82574L has MSI-X."""
    machine = boot(POWER_OFF + pc("00:08.0", f"{options} rm.test=pci-net ip=10.0.2.15/24 gateway=10.0.2.2"), memory=768,
                   machine=machine_with(E1000.format(model), arguments=["-netdev", "user,id=out"]))
    machine.expect(r"GUEST: network up, 10\.0\.2\.15/24")
    machine.expect(r"GUEST: pins: [1-9]" if options or model == "e1000" else r"GUEST: messages: [1-9]")
    machine.expect(r"GUEST: ping ok 10\.0\.2\.2")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|nobody cared|iommu: .*refused")


def test_a_pcs_disk(boot, disk_image):
    """AHCI has one message of the old kind, and no table of them."""
    machine = boot(POWER_OFF + pc("00:0a.0", "rm.test=pci-disk disk=sda mib=16"), memory=768,
                   machine=machine_with(*AHCI, drives=[("disk", disk_image)]))
    machine.expect(r"GUEST: disk ok sha256=[0-9a-f]{64}$")
    machine.expect(r"GUEST: messages: [1-9]")
    machine.expect(r"GUEST: all ok")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|iommu: .*refused")


def test_a_large_bar(boot):
    """8 GiB of registers, above 4 GiB on the machine and in the guest."""
    machine = boot(with_device("00:0c.0", ""), memory=768, machine=machine_with("pci-testdev,membar=8G,addr=c"))
    machine.expect(r"GUEST: shell ready")
    machine.send("cat /sys/bus/pci/devices/0000:00:01.0/resource\n")
    machine.expect(r"0x0000004000000000 0x00000041ffffffff 0x0*[0-9a-f]+")
    machine.absent(r"event=panic|its memory cannot be|Kernel panic|Call Trace")
