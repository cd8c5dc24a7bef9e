# SPDX-License-Identifier: BSD-2-Clause
"""Theory: without VT-d, a guest that sees its memory at the machine's addresses drives a PCI function of an old PC all
the same: its DMA finds the guest's memory, its ports are there, and its pin, which cannot be held back, interrupts."""

import pytest
from ringmaster.machines import Bochs
from vms import linux_pc, options, stopped

HOST = "192.168.10.1"
"""Who answers pings in Bochs' own network."""


class BochsWithE1000(Bochs):
    """An 82540EM from before PCI 2.3: it neither says that its pin interrupts nor can be told not to."""

    def bochsrc(self, serial, workdir):
        lines = super().bochsrc(serial, workdir)
        lines = lines.replace("chipset=i440fx\n", "chipset=i440fx, slot1=e1000\n")
        lines = lines.replace("speaker=0\n", "speaker=0, e1000=1\n")
        return lines + f"e1000: enabled=1, mac=52:54:00:12:34:56, ethmod=vnet, ethdev={workdir}\n"


@pytest.mark.bochs
@pytest.mark.slow
@pytest.mark.full
def test_an_e1000(boot):
    config = options(unsafe_dma=True) + linux_pc(f"rm.test=pci-net ip=192.168.10.20/24 gateway={HOST}",
                                                 'devices = ["00:02.0"]\nmemory_map = "identity"')
    machine = boot(config, memory=768, machine=BochsWithE1000)
    machine.expect(r"iommu: .*UNSAFE: .*can read and write all memory")
    machine.expect(r"pci: 0000:00:02\.0 is linux's 00:01.0")
    machine.expect(r"GUEST: network up, 192\.168\.10\.20/24")
    machine.expect(r"GUEST: pins: [1-9]")
    machine.expect(rf"GUEST: ping ok {HOST}")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|nobody cared")
