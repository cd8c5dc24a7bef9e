# SPDX-License-Identifier: BSD-2-Clause
"""Theory: a VM that cannot be built is refused with the reason, on an event line of its own, and the others
start. mkiso would refuse most of these, so the descriptions are broken after its checks."""

import pytest
from ringmaster import TREE
from vms import POWER_OFF, guest, started, stopped

pytestmark = pytest.mark.engines


def refused(name, why):
    return rf'^rm: event=vm-refused vm={name} why="[^"]*{why}'


def test_each_refusal_names_its_reason_and_the_good_one_runs(boot):
    names = ("garbage", "short", "memory", "key", "huge", "vcpus", "initrd", "good")
    config = boot.config(POWER_OFF + "".join(guest(name, "hello-multiboot.elf") for name in names))
    vms = {vm.name: vm for vm in config.vms}

    garbage = boot.directory / "garbage"
    garbage.write_bytes(b"this is no kernel" * 100)
    vms["garbage"].kernel = garbage
    short = boot.directory / "short"
    short.write_bytes(vms["good"].kernel.read_bytes()[:256])
    vms["short"].kernel = short
    del vms["memory"].settings["memory"]
    vms["key"].settings["colour"] = "green"
    vms["huge"].settings["memory"] = "900G"
    vms["vcpus"].settings["vcpus"] = "0"
    vms["initrd"].initrd = vms["initrd"].kernel
    vms["initrd"].settings["format"] = "multiboot"

    machine = boot(config, cpus=2)
    machine.expect_in_any_order(
        refused("garbage", ""), refused("short", ""), refused("memory", "memory"), refused("key", "colour"),
        refused("huge", ""), refused("vcpus", "vcpus"), refused("initrd", "initrd"),
        started("good"), stopped("good", "debug-exit status=0"))
    machine.fail()
    machine.absent(r"event=panic")
    assert len(machine.found(r"event=vm-start")) == 1


def shortened(boot, file, size):
    """The first bytes of it."""
    short = boot.directory / f"{file.name}-{size}"
    short.write_bytes(file.read_bytes()[:size])
    return short


def refused_or_whole(name):
    """In its last part an ELF file has what is for debuggers."""
    return rf'^rm: event=vm-(?:refused vm={name} why="...|stop vm={name} reason=debug-exit status=0$)'


def test_images_that_are_cut_short(boot):
    """Beside a VM whose disks are cut, too, which it can live with."""
    images = {"multiboot": "hello-multiboot.elf", "pvh": "hello-pvh.elf", "kludge": "hello-aout.bin"}
    disks = ", ".join(f'{{ file = "build/guests/hello-real.bin", mode = "{mode}" }}' for mode in ("ro", "cow") * 2)
    text = POWER_OFF + guest("good", "hello-multiboot.elf", f"disks = [{disks}]") + guest("empty-flat", "hello-multiboot.elf")
    cuts = {}
    for kind, image in images.items():
        size = (TREE / "build/guests" / image).stat().st_size
        for at, length in enumerate((0, 1, 51, size // 2, size - 1)):
            cuts[f"{kind}-{at}"] = length
            text += guest(f"{kind}-{at}", image)
    for at, length in enumerate((0, 1, 0x1F1, 0x264, 4096)):
        cuts[f"linux-{at}"] = length
        text += guest(f"linux-{at}", "hello-multiboot.elf")

    config = boot.config(text)
    for vm in config.vms:
        vm.settings["memory"] = "4M"
        if vm.name.startswith("linux"):
            vm.kernel = TREE / "build/linux/vmlinuz"
        if vm.name in cuts:
            vm.kernel = shortened(boot, vm.kernel, cuts[vm.name])
        if vm.name == "empty-flat":
            vm.kernel = shortened(boot, vm.kernel, 0)
            vm.settings["format"] = "flat"
        for disk, length in zip(vm.disks, (0, 1, 511, 513)):
            disk.file = shortened(boot, TREE / "build/guests/hello-pvh.elf", length)

    machine = boot(config, cpus=2)
    for at in range(3):  # without their headers
        machine.expect_in_any_order(*(refused(f"{kind}-{at}", "...") for kind in (*images, "linux")))
        machine.position = (0, 0)
    machine.expect_in_any_order(refused("empty-flat", "empty"), refused("linux-3", "..."), refused("linux-4", "..."),
                                *(refused_or_whole(f"{kind}-{at}") for kind in images for at in (3, 4)),
                                stopped("good", "debug-exit status=0"))
    machine.fail()
    machine.absent(r"event=panic")


def test_a_line_that_names_no_vm_is_ignored_aloud(boot):
    config = boot.config(POWER_OFF + guest("good", "hello-multiboot.elf") + guest("lost", "hello-multiboot.elf"))
    config.vms[1].name = ""  # `vm=` is left out of the line
    machine = boot(config)
    machine.expect(r"vm: missing")
    machine.expect(stopped("good", "debug-exit status=0"))
    machine.finish()


def test_a_wrong_option_of_the_hypervisor_is_ignored_aloud(boot):
    config = boot.config(POWER_OFF + guest("good", "hello-multiboot.elf"))
    config.options.update(nonsense="1", vpid="perhaps")
    machine = boot(config)
    machine.expect(r"nonsense")
    machine.expect(r"vpid")
    machine.expect(stopped("good", "debug-exit status=0"))
    machine.succeed()


def test_no_vm_at_all_ends_at_once(boot):
    config = boot.config(POWER_OFF + guest("gone", "hello-multiboot.elf"))
    config.vms.clear()
    machine = boot(config)
    machine.expect(r"^rm: event=exit status=")
    machine.finish()
