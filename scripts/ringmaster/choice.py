# SPDX-License-Identifier: BSD-2-Clause
"""Which machine `scripts/run --machine auto` takes: QEMU/KVM if Ringmaster really runs in it, else an emulator."""

import fcntl
import os
import re
import struct
import tempfile
from pathlib import Path

from .machines import Bochs, MachineError, QemuKvm, QemuTcg
from .session import Outcome, watch

TRIAL_SECONDS = 20
USABLE = re.compile(r"preflight: (VT-x|AMD-V): yes")

KVM_GET_SUPPORTED_CPUID, KVM_CREATE_VM = 0xC008AE05, 0xAE01
CPUID_ENTRIES, CPUID_ENTRY_BYTES = 256, 40
VIRTUALIZATION = {(1, 5): "VT-x", (0x80000001, 2): "AMD-V"}  # (leaf, bit of ECX)


def offered_by_kvm():
    """The names of what KVM says that it has for its guests. It is asked itself: a flag in /proc/cpuinfo promises
    nothing, and there are /dev/kvm devices without either. Raises OSError."""
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    try:
        os.close(fcntl.ioctl(kvm, KVM_CREATE_VM, 0))
        table = bytearray(8 + CPUID_ENTRIES * CPUID_ENTRY_BYTES)
        struct.pack_into("<2I", table, 0, CPUID_ENTRIES, 0)
        fcntl.ioctl(kvm, KVM_GET_SUPPORTED_CPUID, table)
    finally:
        os.close(kvm)
    ecx = {}
    for index in range(struct.unpack_from("<I", table, 0)[0]):
        leaf, _, _, _, _, value = struct.unpack_from("<6I", table, 8 + index * CPUID_ENTRY_BYTES)
        ecx.setdefault(leaf, value)
    return [name for (leaf, bit), name in VIRTUALIZATION.items() if ecx.get(leaf, 0) >> bit & 1]


def trial(machine):
    """Boot as far as the preflight report: None when it is satisfied, else what came instead."""
    with tempfile.TemporaryDirectory(prefix="ringmaster-trial-") as workdir, machine.start(Path(workdir)) as session:
        outcome, _, _ = watch(session, USABLE, TRIAL_SECONDS)
        if outcome is Outcome.MATCHED:
            return None
        complaint, _ = session.log.find(re.compile(r"preflight: error: (.*)"))
        return complaint[1] if complaint else session.why_died() if outcome is Outcome.DIED else outcome.text


def why_not_kvm(spec):
    """None when Ringmaster runs in QEMU/KVM here, else the reason."""
    try:
        if not offered_by_kvm():
            return "KVM here gives its guests neither VT-x nor AMD-V (kvm_intel.nested=1, kvm_amd.nested=1)"
        reason = trial(QemuKvm(spec))
    except MachineError as error:
        return str(error)
    except OSError as error:
        return f"/dev/kvm: {error.strerror}"
    return reason and f"a trial with KVM failed: {reason}"


def choose_machine(spec):
    """(a machine for this Spec, why it). Raises MachineError."""
    reason = why_not_kvm(spec)
    if reason is None:
        return QemuKvm(spec), "KVM with nested virtualization, tried"
    reason = f"not KVM: {reason}"
    try:
        return QemuTcg(spec), f"it emulates AMD-V; {reason}"
    except MachineError as error:
        return Bochs(spec), f"it emulates VT-x; not QEMU: {error}; {reason}"
