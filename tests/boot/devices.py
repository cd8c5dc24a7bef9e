# SPDX-License-Identifier: BSD-2-Clause
"""Machines with devices to give away: QEMU's q35 with an IOMMU, and what system tests do with them."""

from ringmaster.machines import QemuTcg
from vms import guest, linux

IOMMU = "intel-iommu,intremap=on,caching-mode=on"
EDU = "edu,addr=7,dma_mask=0xffffffffffffffff"
NVME = "nvme,drive=disk,serial=test,addr=5"
BLK = "virtio-blk-pci,drive=disk,addr=6,disable-legacy=on,iommu_platform=on"
NET = "virtio-net-pci,netdev=out,addr=8,disable-legacy=on,iommu_platform=on"


def machine_with(*devices, drives=(), arguments=(), iommu=IOMMU):
    """QEMU's q35 with these -device arguments, an image as the drive of each name, and other arguments."""

    class Variant(QemuTcg):
        def command(self, serial, workdir):
            command = super().command(serial, workdir)
            at = next(i for i, argument in enumerate(command) if argument.startswith("intel-iommu"))
            words = [*arguments, *(word for device in filter(None, (iommu, *devices)) for word in ("-device", device))]
            for name, path in drives:
                words += ["-drive", f"if=none,id={name},format=raw,file={self.escaped(path)}"]
            command[at - 1:at + 1] = words
            return command

    return Variant


def hostile(address, name="hostile", extra=""):
    """guests/edu: does with the edu at that address what it is told on its console."""
    return guest(name, "edu.elf", extra=f'devices = ["{address}"]\n{extra}')


def refused(name, why):
    return rf'^rm: event=vm-refused vm={name} why="device 0000:[^"]*{why}'


def with_device(address, cmdline, name="linux"):
    return linux(name, cmdline=cmdline, extra=f'devices = ["{address}"]')
