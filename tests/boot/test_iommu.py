# SPDX-License-Identifier: BSD-2-Clause
"""Theory: where a machine has an IOMMU, translation is on with tables that allow nothing before anything is built,
whatever the unit can and cannot; interrupts still arrive, through its table; nothing that we use ourselves
needed what was taken away."""

import re

import pytest
from ringmaster.machines import QemuTcg
from screen import Monitor
from vms import POWER_OFF, guest, options

pytestmark = pytest.mark.tcg

TINY = guest("tiny", "hello-multiboot.elf")


def machine_with(*devices):
    """QEMU's q35 with these -device arguments in place of the usual IOMMU."""

    class Variant(QemuTcg):
        def command(self, serial, workdir):
            arguments = super().command(serial, workdir)
            at = next(i for i, argument in enumerate(arguments) if argument.startswith("intel-iommu"))
            arguments[at - 1:at + 1] = [word for device in devices for word in ("-device", device)]
            return arguments

    return Variant


VARIANTS = {
    "39-bit": ("intremap=on,aw-bits=39", r"3-level tables, 39-bit"),
    "48-bit": ("intremap=on,aw-bits=48", r"4-level tables, 48-bit"),
    "caching": ("intremap=on,caching-mode=on", r"3-level tables"),
    "device-iotlb": ("intremap=on,device-iotlb=on", r"3-level tables"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_translation_and_remapping_are_on(boot, variant):
    option, tables = VARIANTS[variant]
    machine = boot(POWER_OFF + TINY, machine=machine_with(f"intel-iommu,{option}"), cpus=2)
    machine.expect(r"vtd: unit at 0xfed90000: .*queued" + (".*caching mode" if variant == "caching" else ""))
    machine.expect(r"vtd: DMA remapping on: 1 unit, " + tables + r".*every device denied")
    machine.expect(r"pci: \d+ functions, configured by ECAM")
    machine.expect(r"vtd: interrupt remapping on")
    machine.expect(r"preflight: .*VT-d: on")
    machine.succeed()
    machine.absent(r"refused|event=panic|cannot be routed|error:.*vtd")


def test_without_interrupt_remapping(boot):
    machine = boot(POWER_OFF + TINY, machine=machine_with("intel-iommu,intremap=off"))
    machine.expect(r"vtd: DMA remapping on")
    machine.expect(r"vtd: .*no interrupt remapping: the machine has none")
    machine.expect(r"preflight: .*VT-d: on")
    machine.succeed()
    machine.absent(r"refused|event=panic")


def test_without_an_iommu(boot):
    machine = boot(POWER_OFF + TINY, machine=machine_with())
    machine.expect(r"pci: \d+ functions")
    machine.expect(r"preflight: .*VT-d: none")
    machine.succeed()
    machine.absent(r"vtd:|event=panic")


def test_off_by_command_line(boot):
    machine = boot(options(iommu="off") + TINY, machine="qemu-tcg")
    machine.expect(r"vtd: .*off by iommu=off: any device reaches all memory")
    machine.expect(r"preflight: .*VT-d: not used")
    machine.succeed()
    machine.absent(r"remapping on|event=panic")


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize("media", ["cd", "disk", "usb"])
def test_what_firmware_used_is_quiet(boot, firmware, media):
    """Disks and USB controllers did DMA for GRUB a moment ago: none goes on when it is no longer allowed."""
    machine = boot(POWER_OFF + TINY, machine="qemu-tcg", firmware=firmware, media=media)
    machine.expect(r"vtd: interrupt remapping on")
    machine.expect(r"preflight: .*VT-d: on")
    machine.succeed()
    machine.absent(r"iommu: .* refused")


def test_com1_goes_through_the_remapping_table(boot):
    """The IOAPIC's input 4 names an entry of the table (bit 48), and no CPU."""
    machine = boot(TINY, machine=machine_with("intel-iommu,intremap=on"))
    machine.expect(r"event=idle")
    machine.absent(r"cannot be routed")
    with Monitor(machine.session) as monitor:
        entry = int(re.search(r"pin 4 +0x([0-9a-f]{16})", monitor.human("info pic"))[1], 16)
    assert entry >> 48 & 1, hex(entry)
    assert entry & 0xFF == 0x30 and not entry >> 16 & 1, hex(entry)
    machine.send("\x01x")
    machine.succeed()


def test_bridges(boot):
    """Functions behind bridges are found, and the paths of the unit's scopes too."""
    machine = boot(POWER_OFF + TINY, machine=machine_with(
        "intel-iommu,intremap=on", "pcie-root-port,id=below,slot=1", "virtio-rng-pci,bus=below",
        "pcie-pci-bridge,id=bridge,bus=pcie.0", "edu,bus=bridge,addr=1"))
    machine.expect(r"pci: 9 functions")
    machine.expect(r"vtd: interrupt remapping on")
    machine.succeed()
    machine.absent(r"bridge to nowhere|scope \d+ names|refused")
