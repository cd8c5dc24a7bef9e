# SPDX-License-Identifier: BSD-2-Clause
"""Theory: Debian's kernel, unmodified, finds all its vCPUs, be there as many CPUs or fewer, and computes on all of them
at once what this machine computes alone."""

import hashlib

import pytest
from vms import POWER_OFF, linux, stopped

pytestmark = [pytest.mark.slow]

VCPUS = 4
PIECE_BYTES = 4 << 20  # guests/linux/init
PROMPT = r"^(?=rm> )"
ROW = r"^smp/{} +\w+ +(\d+)"


def boot_smp(boot, cpus):
    return boot(POWER_OFF + linux("smp", "rm.test=smp", extra=f"vcpus = {VCPUS}"), cpus=cpus)


def check_sums(machine):
    machine.expect(rf"GUEST: nproc {VCPUS}$")
    for piece in range(1, VCPUS + 1):
        digest = hashlib.sha256(str(piece).encode() * PIECE_BYTES).hexdigest()
        machine.expect(rf"GUEST: piece {piece} sha256={digest}$")
    machine.expect(r"GUEST: shell ready")


def check_exits_by_vcpu(machine):
    machine.send("\x010")
    machine.expect(PROMPT)
    machine.send("exits smp\r")
    for vcpu in range(VCPUS):
        machine.expect(ROW.format(vcpu))
    machine.expect(PROMPT)
    for vcpu in range(VCPUS):
        assert sum(int(row[1]) for row in machine.found(ROW.format(vcpu))) > 100, f"vCPU {vcpu} hardly ran"


def power_off(machine):
    machine.send("\x011")
    machine.expect(r"attached to smp")
    machine.send("\npoweroff -f\n")
    machine.expect(stopped("smp", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|rcu:|soft lockup")


@pytest.mark.tcg
@pytest.mark.parametrize("cpus", [2, 4])
def test_four_vcpus_by_amd_v(boot, cpus):
    machine = boot_smp(lambda config, **spec: boot(config, machine="qemu-tcg", **spec), cpus)
    check_sums(machine)
    check_exits_by_vcpu(machine)
    power_off(machine)


@pytest.mark.bochs
@pytest.mark.full
@pytest.mark.timeout(1200)
def test_four_vcpus_by_vt_x(boot):
    machine = boot_smp(boot, 2)
    check_sums(machine)
    check_exits_by_vcpu(machine)
    power_off(machine)
