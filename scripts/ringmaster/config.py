# SPDX-License-Identifier: BSD-2-Clause
"""The TOML description of a machine's VMs: read, check, and turn into plain records.

Every mistake is reported with file and line, all of them at once. What only the target can know (is there
enough memory, are there that many CPUs) is Ringmaster's to check; iso.py decides how a record is written
on a Multiboot2 module line."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from . import images
from .toml_lines import key_lines

VM_NAME = re.compile(r"[a-z0-9_-]{1,31}")
OPTION_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
SIZE = re.compile(r"(\d+)([KMGT])")
RATE = re.compile(r"(\d{1,12})([KMG]?)")
RATE_UNIT = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
DEVICE = re.compile(r"([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]")
SIZE_UNIT = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
HYPERVISOR_BYTES = 32 << 20  # what a machine needs for Ringmaster itself, roughly

# Limits of kernel/vm_config.h.
SMALLEST_VM_BYTES = 1 << 20
SMALLEST_FLAT_VM_BYTES = 64 << 10
PAGE_BYTES = 4096
MAX_VMS = 64
MAX_VCPUS = 64
MAX_DISKS = 8
MAX_NETS = 4
MAX_NET_QUEUES = 4
MAX_VLAN = 4094
MIN_MTU, MAX_MTU = 68, 65535
MIN_RATE, MAX_RATE = 64_000, 10**12
MAX_SHARED = 4
MAX_SHARED_VECTORS = 32
MIN_SHARED_BYTES, MAX_SHARED_BYTES = 4 << 10, 1 << 30
MAX_MODULES = 16
MAX_DEVICES = 8
MAX_CMDLINE_BYTES = 2047
MAX_MODULE_CMDLINE_BYTES = 255
MAX_DISK_ID_BYTES = 20
MAX_PATH_BYTES = 4096


class ConfigError(Exception):
    """One or more mistakes; each line of the text is `file:line: what is wrong`."""


@dataclass
class Disk:
    file: Path
    mode: str
    id: str = ""


@dataclass
class Module:
    file: Path
    cmdline: str = ""


@dataclass
class Shared:
    """A region of memory that VMs share."""
    name: str
    size: str
    text: str
    """As it stands on the kernel's module line: ring,size=1M"""


@dataclass
class Vm:
    name: str
    kernel: Path
    initrd: Path | None = None
    modules: list[Module] = field(default_factory=list)
    disks: list[Disk] = field(default_factory=list)
    nets: list[str] = field(default_factory=list)
    """As each stands on the kernel's module line: lan0,vlan=10"""
    shared: list[Shared] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    """Everything else, as it stands on the kernel's module line: memory=256M, vcpus=1, …"""


@dataclass
class Config:
    options: dict[str, str] = field(default_factory=dict)
    """The hypervisor's own command line."""
    vms: list[Vm] = field(default_factory=list)


def size_bytes(text):
    match = SIZE.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f'expected a size such as "256M" or "1G", not {text!r}')
    return int(match[1]) * SIZE_UNIT[match[2]]


# ---- Checkers: value -> what stands on the module line; ValueError says what was expected. ----


def _text(longest):
    def check(value):
        if not isinstance(value, str):
            raise ValueError(f"expected a string, not {value!r}")
        if any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise ValueError("has a control character, which a command line cannot carry")
        if len(value.encode()) > longest:
            raise ValueError(f"is longer than {longest} bytes")
        return value

    return check


def _integer(low, high):
    def check(value):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"expected a number from {low} to {high}, not {value!r}")
        return str(value)

    return check


def _one_of(*names):
    def check(value):
        if value not in names:
            raise ValueError(f"expected one of {', '.join(names)}, not {value!r}")
        return value

    return check


def _boolean(value):
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {value!r}")
    return "1" if value else "0"


def _address(value):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise ValueError(f"expected an address below 4 GiB such as 0x100000, not {value!r}")
    return hex(value)


def _memory(value):
    if size_bytes(value) < SMALLEST_FLAT_VM_BYTES or size_bytes(value) % PAGE_BYTES:
        raise ValueError(f"expected whole pages and at least {SMALLEST_FLAT_VM_BYTES >> 10}K, not {value!r}")
    return value


def _cpu_list(value):
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list of CPU numbers such as [1, 2], not {value!r}")
    numbers = [_integer(0, 255)(cpu) for cpu in value]
    if len(set(numbers)) != len(numbers):
        raise ValueError("names a CPU twice")
    return ",".join(numbers)


def _name(value):
    if not isinstance(value, str) or not VM_NAME.fullmatch(value):
        raise ValueError(f"expected a name of 1 to 31 of a-z, 0-9, '_', '-', not {value!r}")
    return value


def _mac(value):
    if not isinstance(value, str) or not MAC.fullmatch(value) or int(value[:2], 16) & 1 or not value.strip("0:"):
        raise ValueError(f'expected an address of one card such as "02:00:00:00:00:01", not {value!r}')
    return value.lower()


def _rate(value):
    match = RATE.fullmatch(value) if isinstance(value, str) else None
    if not match or not MIN_RATE <= int(match[1]) * RATE_UNIT[match[2]] <= MAX_RATE:
        raise ValueError(f'expected bits per second such as "100M", from 64K to 1000G, not {value!r}')
    return value


def _shared_size(value):
    size = size_bytes(value)
    if size & (size - 1) or not MIN_SHARED_BYTES <= size <= MAX_SHARED_BYTES:
        raise ValueError(f'expected a power of two such as "1M", from 4K to 1G, not {value!r}')
    return value


def _consoles(value):
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not set(names) <= {"serial", "virtio", "none"}:
        raise ValueError(f'expected "serial", "virtio", "none" or a list of these, not {value!r}')
    return ",".join(names)


def _devices(value):
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_DEVICES:
        raise ValueError(f'expected a list of 1 to {MAX_DEVICES} PCI functions such as ["00:03.0"], not {value!r}')
    for device in value:
        if not isinstance(device, str) or not DEVICE.fullmatch(device):
            raise ValueError(f'expected a PCI function such as "00:03.0", not {device!r}')
    if len(set(value)) != len(value):
        raise ValueError("names a device twice")
    return ",".join(value)


SETTINGS = {
    "format": _one_of("auto", "linux", "pvh", "multiboot", "flat"),
    "cmdline": _text(MAX_CMDLINE_BYTES),
    "memory": _memory,
    "vcpus": _integer(1, MAX_VCPUS),
    "cpus": _cpu_list,
    "weight": _integer(1, 10000),
    "cap": _integer(0, 100 * MAX_VCPUS),
    "restart": _one_of("never", "on-crash", "always"),
    "debug_exit": _boolean,
    "vsock": _integer(3, 66),
    "balloon": _boolean,
    "free_page_reporting": _boolean,
    "load": _address,
    "entry": _one_of("real", "protected"),
    "entry_point": _address,
    "console": _consoles,
    "devices": _devices,
    "serial": _one_of("COM2"),
    "vga": _boolean,
    "memory_map": _one_of("remap", "identity"),
}
NET_SETTINGS = {
    "switch": _name,
    "mac": _mac,
    "vlan": _integer(0, MAX_VLAN),
    "trunk": _boolean,
    "isolated": _boolean,
    "rate": _rate,
    "spoof_check": _boolean,
    "queues": _integer(1, MAX_NET_QUEUES),
    "mtu": _integer(MIN_MTU, MAX_MTU),
}
SHARED_SETTINGS = {
    "name": _name,
    "size": _shared_size,
    "vectors": _integer(1, MAX_SHARED_VECTORS),
}
FLAT_ONLY = ("load", "entry", "entry_point")
VM_FILES = ("kernel", "initrd", "modules", "disks")
VM_LISTS = ("nets", "shared")
DISK_MODES = {"ro": "ro", "cow": "cow", "rw": "cow"}
"""A disk is a module in memory: what a guest writes is gone at power-off, so "rw" is copy-on-write too."""


class _Reader:
    def __init__(self, path):
        self.path = Path(path)
        self.errors = []
        self.lines = {}

    def error(self, where, text):
        while where and where not in self.lines:
            where = where[:-1]
        self.errors.append((self.lines.get(where, 1), text))

    def finish(self, result):
        if self.errors:
            raise ConfigError("\n".join(f"{self.path}:{line}: {text}" for line, text in sorted(self.errors)))
        return result

    def read(self):
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path}: cannot be read: {error}") from None
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message, line = self._split_position(str(error), text)
            raise ConfigError(f"{self.path}:{line}: {message}") from None
        self.lines = key_lines(text)
        return self.finish(self.document(document))

    @staticmethod
    def _split_position(message, text):
        match = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", message)
        line = int(match[1]) if match and match[1] else text.count("\n") + 1
        return message[: match.start()] if match else message, line

    # Each of the following takes the path of its table and the table itself.

    def table(self, where, value, known):
        """The value when it is a table; its unknown keys are errors."""
        if not isinstance(value, dict):
            self.error(where, f"{where[-1]}: expected a table")
            return {}
        for key in value:
            if known and key not in known:
                self.error(where + (key,), f"unknown key '{key}' (expected one of: {', '.join(known)})")
        return value

    def checked(self, where, check, value):
        try:
            return check(value)
        except ValueError as error:
            self.error(where, f"{where[-1]}: {error}")
            return None

    def file(self, where, value):
        """An existing file's path; relative paths start at the TOML file."""
        text = self.checked(where, _text(MAX_PATH_BYTES), value)
        if text is None:
            return None
        path = self.path.parent / text
        if not path.is_file():
            self.error(where, f"{where[-1]}: no file '{path}'")
            return None
        return path

    def document(self, document):
        self.table((), document, ("ringmaster", "machine", "vm"))
        config = Config(options=self.options(("ringmaster",), document.get("ringmaster", {})))
        vms = self.table(("vm",), document.get("vm", {}), ())
        config.vms = [vm for vm in (self.vm(("vm", name), value) for name, value in vms.items()) if vm]
        if not 1 <= len(vms) <= MAX_VMS:
            self.error(("vm",), f"describes {len(vms)} VMs: expected 1 to {MAX_VMS} tables such as [vm.linux]")
        self.regions(config.vms)
        self.machine(("machine",), document.get("machine", {}), config.vms)
        return config

    def regions(self, vms):
        """Who names a region says the same size."""
        sizes = {}
        for vm in vms:
            for index, region in enumerate(vm.shared):
                first, size = sizes.setdefault(region.name, (vm.name, region.size))
                if size and region.size and size_bytes(size) != size_bytes(region.size):
                    self.error(("vm", vm.name, "shared", index),
                               f"shared: '{region.name}' has {size} in VM '{first}', not {region.size}")

    def options(self, where, value):
        options = {}
        for key, option in self.table(where, value, ()).items():
            here = where + (key,)
            if not OPTION_NAME.fullmatch(key):
                self.error(here, f"'{key}' is no option name (lower case letters, digits, '_', '.', '-')")
            elif isinstance(option, bool):
                options[key] = _boolean(option)
            elif isinstance(option, int):
                options[key] = str(option)
            else:
                options[key] = self.checked(here, _text(MAX_CMDLINE_BYTES), option)
        return options

    def machine(self, where, value, vms):
        """[machine] says what the target has, so that a description that cannot fit fails here."""
        machine = self.table(where, value, ("memory", "cpus"))
        if "memory" in machine:
            have = self.checked(where + ("memory",), size_bytes, machine["memory"])
            need = sum(size_bytes(vm.settings["memory"]) for vm in vms if vm.settings.get("memory"))
            need += sum({region.name: size_bytes(region.size) for vm in vms for region in vm.shared if region.size}.values())
            if have is not None and need + HYPERVISOR_BYTES > have:
                self.error(where + ("memory",), f"memory: the VMs want {need >> 20}M and Ringmaster "
                           f"{HYPERVISOR_BYTES >> 20}M, the machine has {have >> 20}M")
        if "cpus" in machine:
            count = self.checked(where + ("cpus",), _integer(1, 256), machine["cpus"])
            for vm in vms:
                if count and any(int(cpu) >= int(count) for cpu in (vm.settings.get("cpus") or "0").split(",")):
                    self.error(("vm", vm.name, "cpus"), f"cpus: the machine has CPUs 0 to {int(count) - 1}")

    def vm(self, where, value):
        name = where[-1]
        if not VM_NAME.fullmatch(name):
            self.error(where, f"'{name}' is no VM name (1 to 31 of a-z, 0-9, '_', '-')")
        table = self.table(where, value, (*VM_FILES, *VM_LISTS, *SETTINGS))
        vm = Vm(name, kernel=None)
        for key, check in SETTINGS.items():
            if key in table:
                vm.settings[key] = self.checked(where + (key,), check, table[key])
        for key in ("kernel", "memory"):
            if key not in table:
                self.error(where, f"VM '{name}' has no {key}")
        self.files(where, table, vm)
        vm.nets = [self.net(*item) for item in self.items(where + ("nets",), table, MAX_NETS)]
        vm.shared = [self.shared(*item) for item in self.items(where + ("shared",), table, MAX_SHARED)]
        for index, region in enumerate(vm.shared):
            if region.name in [other.name for other in vm.shared[:index]]:
                self.error(where + ("shared", index), f"shared: '{region.name}' is named twice")
        return vm

    def files(self, where, table, vm):
        if "kernel" in table:
            vm.kernel = self.file(where + ("kernel",), table["kernel"])
        if "initrd" in table:
            vm.initrd = self.file(where + ("initrd",), table["initrd"])
        vm.modules = [self.module(*item) for item in self.items(where + ("modules",), table, MAX_MODULES)]
        vm.disks = [self.disk(*item) for item in self.items(where + ("disks",), table, MAX_DISKS)]
        self.format(where, vm)
        if vm.kernel:
            self.kernel(where, vm)

    def items(self, where, table, most):
        values = table.get(where[-1], [])
        if not isinstance(values, list):
            self.error(where, f"{where[-1]}: expected a list")
            return []
        if len(values) > most:
            self.error(where, f"{where[-1]}: {len(values)} are too many, expected at most {most}")
        return [(where + (index,), value) for index, value in enumerate(values)]

    def module(self, where, value):
        if isinstance(value, str):
            return Module(self.file(where, value))
        table = self.file_table(where, value, ("file", "cmdline"))
        return Module(table.get("file"), self.checked(where + ("cmdline",), _text(MAX_MODULE_CMDLINE_BYTES), table.get("cmdline", "")))

    def disk(self, where, value):
        table = self.file_table(where, value, ("file", "mode", "id"))
        mode = self.checked(where + ("mode",), _one_of(*DISK_MODES), table.get("mode", "ro"))
        identity = self.checked(where + ("id",), _text(MAX_DISK_ID_BYTES), table.get("id", ""))
        return Disk(table.get("file"), DISK_MODES.get(mode), identity)

    def net(self, where, value):
        settings = self.item(where, value, NET_SETTINGS, ("switch",))
        return self.item_text("switch", settings)

    def shared(self, where, value):
        settings = self.item(where, value, SHARED_SETTINGS, ("name", "size"))
        return Shared(settings.get("name"), settings.get("size"), self.item_text("name", settings))

    def item(self, where, value, known, needed):
        """The checked settings of a table within a list."""
        table = dict(self.table(where[:-1], value, ()))
        settings = {}
        for key, setting in table.items():
            if key in known:
                settings[key] = self.checked(where + (key,), known[key], setting)
            else:
                self.error(where + (key,), f"unknown key '{key}' (expected one of: {', '.join(known)})")
        for key in needed:
            if key not in table:
                self.error(where, f"{where[-2]}: has no {key}")
        return settings

    @staticmethod
    def item_text(first, settings):
        """On a module line the first setting stands without its key."""
        return ",".join([str(settings.get(first, "")), *(f"{key}={text}" for key, text in settings.items() if key != first)])

    def file_table(self, where, value, known):
        table = dict(self.table(where[:-1], value, ()))
        for key in table:
            if key not in known:
                self.error(where + (key,), f"unknown key '{key}' (expected one of: {', '.join(known)})")
        if "file" in table:
            table["file"] = self.file(where + ("file",), table["file"])
        else:
            self.error(where, f"{where[-2]}: has no file")
        return table

    def format(self, where, vm):
        """What only a flat image may say, and what the others need."""
        if vm.settings.get("format") == "flat":
            return
        for key in FLAT_ONLY:
            if key in vm.settings:
                self.error(where + (key,), f'{key}: only for format = "flat"')
        if vm.settings.get("memory") and size_bytes(vm.settings["memory"]) < SMALLEST_VM_BYTES:
            self.error(where + ("memory",), 'memory: expected at least 1M unless format = "flat"')

    def kernel(self, where, vm):
        data = vm.kernel.read_bytes()
        reason = images.why_not_bootable(data, flat=vm.settings.get("format") == "flat")
        if reason:
            self.error(where + ("kernel",), f"kernel: '{vm.kernel}' {reason}")
        if vm.modules and images.is_bzimage(data):
            self.error(where + ("modules",), "modules: are for Multiboot kernels; a Linux kernel takes an initrd")


def read_config(path):
    """The Config that the TOML file describes; ConfigError lists every mistake in it."""
    return _Reader(path).read()
