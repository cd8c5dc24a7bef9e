# SPDX-License-Identifier: BSD-2-Clause
"""Theory: every mistake in a description is found on the build machine, with its line, all at once; a good
description becomes exactly the GRUB lines that the hypervisor reads."""

import re
import struct

import pytest
from ringmaster.config import ConfigError, read_config
from ringmaster.iso import grub_cfg, grub_quote
from ringmaster.toml_lines import key_lines

pytestmark = pytest.mark.quick

MULTIBOOT_AOUT = struct.pack("<3I", 0x1BADB002, 1 << 16, -(0x1BADB002 + (1 << 16)) & 0xFFFFFFFF)
GOOD = '[vm.a]\nkernel = "kernel"\nmemory = "64M"\n'


@pytest.fixture
def read(tmp_path):
    (tmp_path / "kernel").write_bytes(MULTIBOOT_AOUT)
    (tmp_path / "file").write_bytes(b"data")
    bzimage = bytearray(0x400)
    bzimage[0x1FE:0x200], bzimage[0x202:0x206] = b"\x55\xaa", b"HdrS"
    (tmp_path / "bzimage").write_bytes(bzimage)
    (tmp_path / "elf").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(11) + struct.pack("<H", 62) + bytes(44))
    (tmp_path / "arm").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(11) + struct.pack("<H", 183) + bytes(44))

    def read(text):
        path = tmp_path / "config.toml"
        path.write_text(text)
        return read_config(path)

    return read


MISTAKES = [
    ("", 1, "describes 0 VMs"),
    ("x = 1\n" + GOOD, 1, "unknown key 'x'"),
    ("[vm.a\n", 1, "Expected ']'"),
    ("[vm.a]\nmemory = '1M'\n", 1, "'a' has no kernel"),
    ("[vm.a]\nkernel = 'kernel'\n", 1, "'a' has no memory"),
    ("[vm.A]\nkernel = 'kernel'\nmemory = '1M'\n", 1, "'A' is no VM name"),
    (GOOD + GOOD, 4, "twice"),
    (GOOD + "colour = 1\n", 4, "unknown key 'colour'"),
    (GOOD + "initrd = 'nope'\n", 4, "initrd: no file"),
    (GOOD + "vcpus = 0\n", 4, "vcpus: expected a number from 1 to"),
    (GOOD + "vcpus = true\n", 4, "vcpus: expected a number"),
    (GOOD + "weight = 'much'\n", 4, "weight: expected a number"),
    (GOOD + "cpus = [1, 1]\n", 4, "cpus: names a CPU twice"),
    (GOOD + "cpus = 1\n", 4, "cpus: expected a list"),
    (GOOD + "debug_exit = 1\n", 4, "debug_exit: expected true or false"),
    (GOOD + "restart = 'often'\n", 4, "restart: expected one of never, on-crash, always"),
    (GOOD + "format = 'exe'\n", 4, "format: expected one of"),
    (GOOD + "load = 0x1000\n", 4, "load: only for format"),
    (GOOD + 'cmdline = "a\\nb"\n', 4, "cmdline: has a control character"),
    (GOOD + f"cmdline = '{'x' * 2048}'\n", 4, "cmdline: is longer than 2047"),
    (GOOD + "serial = 'COM1'\n", 4, "serial: expected one of COM2"),
    (GOOD + "vga = 1\n", 4, "vga: expected true or false"),
    (GOOD + "devices = []\n", 4, "devices: expected a list of 1 to 8"),
    (GOOD + "nets = [{ vlan = 1 }]\n", 4, "nets: has no switch"),
    (GOOD + "nets = [{ switch = 'lan 0' }]\n", 4, "switch: expected a name of"),
    (GOOD + "nets = [{ switch = 'lan0', mac = '01:00:00:00:00:01' }]\n", 4, "mac: expected an address of one card"),
    (GOOD + "nets = [{ switch = 'lan0', vlan = 4095 }]\n", 4, "vlan: expected a number from 0 to 4094"),
    (GOOD + "nets = [{ switch = 'lan0', rate = '1K' }]\n", 4, "rate: expected bits per second"),
    (GOOD + "nets = [{ switch = 'lan0', speed = 1 }]\n", 4, "unknown key 'speed'"),
    (GOOD + "nets = [" + "{ switch = 'lan0' }," * 5 + "]\n", 4, "nets: 5 are too many"),
    (GOOD + "shared = [{ size = '1M' }]\n", 4, "shared: has no name"),
    (GOOD + "shared = [{ name = 'ring' }]\n", 4, "shared: has no size"),
    (GOOD + "shared = [{ name = 'ring', size = '3M' }]\n", 4, "size: expected a power of two"),
    (GOOD + "shared = [{ name = 'ring', size = '2G' }]\n", 4, "size: expected a power of two"),
    (GOOD + "shared = [{ name = 'ring', size = '1M', vectors = 33 }]\n", 4, "vectors: expected a number from 1 to 32"),
    (GOOD + "shared = [{ name = 'ring', size = '1M', peers = 3 }]\n", 4, "unknown key 'peers'"),
    (GOOD + "shared = [\n  { name = 'ring', size = '1M' },\n  { name = 'ring', size = '1M' },\n]\n", 6, "'ring' is named twice"),
    (GOOD + "shared = [{ name = 'ring', size = '1M' }]\n" + GOOD.replace("vm.a", "vm.b") + "shared = [{ name = 'ring', size = '2M' }]\n", 8,
     "'ring' has 1M in VM 'a', not 2M"),
    ("[machine]\nmemory = '96M'\n" + GOOD + "shared = [{ name = 'ring', size = '1M' }]\n", 2, "memory: the VMs want 65M"),
    (GOOD + "devices = ['00:03']\n", 4, "devices: expected a PCI function"),
    (GOOD + "devices = ['00:03.0', '00:03.0']\n", 4, "devices: names a device twice"),
    (GOOD + "modules = [\n  'file',\n  'nope',\n]\n", 6, "no file"),
    (GOOD + "disks = [\n  { file = 'file' },\n  { file = 'file', mode = 'rx' },\n]\n", 6, "mode: expected one of ro, cow, rw"),
    (GOOD + "disks = [{ mode = 'ro' }]\n", 4, "disks: has no file"),
    (GOOD + "disks = [{ file = 'file', size = 1 }]\n", 4, "unknown key 'size'"),
    (GOOD + "disks = [" + "{ file = 'file' }," * 9 + "]\n", 4, "disks: 9 are too many"),
    (GOOD + "disks = 'file'\n", 4, "disks: expected a list"),
    (GOOD.replace("64M", "64"), 3, "memory: expected a size"),
    (GOOD.replace("64M", "4K"), 3, "memory: expected whole pages and at least 64K"),
    (GOOD.replace("64M", "64K"), 3, "memory: expected at least 1M unless"),
    (GOOD.replace('"kernel"', '"file"'), 2, "kernel: '.*' is no bzImage, ELF or Multiboot kernel"),
    (GOOD.replace('"kernel"', '"elf"'), 2, "neither a Multiboot header nor a PVH note"),
    (GOOD.replace('"kernel"', '"arm"'), 2, "not for x86"),
    (GOOD.replace('"kernel"', '"bzimage"') + "modules = ['file']\n", 4, "modules: are for Multiboot kernels"),
    ("[machine]\nmemory = '80M'\n" + GOOD, 2, "memory: the VMs want 64M"),
    ("[machine]\ncpus = 2\n" + GOOD + "cpus = [2]\n", 6, "cpus: the machine has CPUs 0 to 1"),
    ("[ringmaster]\nLog = 1\n" + GOOD, 2, "'Log' is no option name"),
    ("[ringmaster]\nlog = 1.5\n" + GOOD, 2, "log: expected a string"),
]


@pytest.mark.parametrize("text, line, message", MISTAKES, ids=[message for _, _, message in MISTAKES])
def test_a_mistake_is_named_with_its_line(read, text, line, message):
    with pytest.raises(ConfigError, match=rf"config\.toml:{line}: .*{message}"):
        read(text)


def test_all_mistakes_are_told_at_once(read):
    with pytest.raises(ConfigError) as error:
        read(GOOD + "vcpus = 0\nweight = 0\ncolour = 1\n")
    assert re.findall(r":(\d+):", str(error.value)) == ["4", "5", "6"]


def test_lines_of_keys_in_every_kind_of_place():
    text = '# [no]\na.b = """\n]\n"""\n[t]\n"q k" = { x = 1, y = [2,\n 3] }\n[[l]]\nv = \'#\'\n[[l]]\nv = 2 # v = 3\n'
    lines = key_lines(text)
    assert lines[("a", "b")] == 2
    assert lines[("t", "q k", "y")] == 6
    assert lines[("t", "q k", "y", 1)] == 7
    assert lines[("l", 0, "v")] == 9
    assert lines[("l", 1, "v")] == 11


def test_grub_cfg_has_one_line_a_file(read):
    config = read(
        "[ringmaster]\non_idle = 'poweroff'\nvpid = false\n" + GOOD +
        "cmdline = \"it's $x a=\\\"b\\\"\"\ncpus = [1, 2]\ndebug_exit = true\nmodules = ['file', { file = 'file', cmdline = 'x y' }]\n"
        "disks = [{ file = 'file', mode = 'rw', id = 'd0' }]\n[vm.b]\nkernel = 'bzimage'\ninitrd = 'file'\nmemory = '1G'\n")
    script = grub_cfg(config, "rm.elf", lambda file: str(file).rpartition("/")[2])
    lines = [line.strip() for line in script.splitlines() if re.match(r"\s+(multiboot2|module2)", line)]
    assert lines == [
        "multiboot2 rm.elf on_idle=poweroff vpid=0",
        "module2 kernel vm=a role=kernel 'cmdline=it'\\''s $x a=\"b\"' memory=64M cpus=1,2 debug_exit=1",
        "module2 file vm=a role=module",
        "module2 file vm=a role=module 'cmdline=x y'",
        "module2 file vm=a role=disk mode=cow id=d0",
        "module2 bzimage vm=b role=kernel memory=1G",
        "module2 file vm=b role=initrd",
    ]


def test_lists_are_several_words_of_the_kernels_line(read):
    config = read(GOOD + "nets = [{ vlan = 3, switch = 'lan0' }, { switch = 'lan1' }]\nshared = [{ size = '1M', name = 'ring', vectors = 2 }]\n")
    line = next(line for line in grub_cfg(config, "rm.elf", lambda file: str(file).rpartition("/")[2]).splitlines() if "module2 " in line)
    assert line.strip() == "module2 kernel vm=a role=kernel memory=64M net=lan0,vlan=3 net=lan1 shared=ring,size=1M,vectors=2"


@pytest.mark.parametrize("word, quoted", [("a=b", "a=b"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$x", "'$x'"), ("", "''")])
def test_quoting_for_grub(word, quoted):
    assert grub_quote(word) == quoted
