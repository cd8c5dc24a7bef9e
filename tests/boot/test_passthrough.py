# SPDX-License-Identifier: BSD-2-Clause
"""Theory: a PCI function that a guest was given works with the driver that every kernel has for it, by DMA
that the IOMMU confines to the guest's memory and interrupts that its table lets through; when the guest
ends, the next one gets the function as new."""

import re
import subprocess

import pytest
from ringmaster import TREE
from ringmaster.machines import QemuTcg
from vms import POWER_OFF, linux, options, stopped

pytestmark = [pytest.mark.tcg, pytest.mark.slow]

IOMMU = "intel-iommu,intremap=on,caching-mode=on"
DISK_MIB = 64


@pytest.fixture(name="disk_image")
def make_disk_image(tmp_path):
    path = tmp_path / "disk.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0", path, f"{DISK_MIB}M"], check=True)
    return path


def machine_with(*devices, drives=(), iommu=IOMMU):
    """QEMU's q35 with these -device arguments, and an image as the drive of each name."""

    class Variant(QemuTcg):
        def command(self, serial, workdir):
            arguments = super().command(serial, workdir)
            at = next(i for i, argument in enumerate(arguments) if argument.startswith("intel-iommu"))
            words = [word for device in ([iommu] if iommu else []) + list(devices) for word in ("-device", device)]
            for name, path in drives:
                words += ["-drive", f"if=none,id={name},format=raw,file={self.escaped(path)}"]
            arguments[at - 1:at + 1] = words
            return arguments

    return Variant


NVME = "nvme,drive=disk,serial=test,addr=5"
BLK = "virtio-blk-pci,drive=disk,addr=6,disable-legacy=on,iommu_platform=on"


def with_device(address, cmdline, name="linux"):
    return linux(name, cmdline=cmdline, extra=f'devices = ["{address}"]')


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
