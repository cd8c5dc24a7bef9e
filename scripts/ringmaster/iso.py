# SPDX-License-Identifier: BSD-2-Clause
"""From a Config to a bootable ISO: grub.cfg with one flat key=value line a module, and grub-mkrescue.

The ISO is hybrid: BIOS and UEFI, as CD, disk and USB stick. It carries only the GRUB modules that it
needs, because firmware (and emulated CD drives above all) load slowly."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .config import Config

GRUB_MODULES = (
    "normal configfile test echo boot multiboot multiboot2 iso9660 fat search search_fs_file search_fs_uuid "
    "terminal minicmd "
    # grub-mkrescue's EFI start-up loads every partition module, and says so on the console when one is missing
    "part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_gpt part_msdos part_plan part_sun part_sunpc"
).split()
EFI_MODULES = ("efi_gop", "video_fb")  # grub-mkrescue takes only names that every platform has
EFI_MODULE_FOLDER = Path("/usr/lib/grub/x86_64-efi")
SOURCE_DATE_EPOCH = "946684800"  # no build time in the image: the same input gives the same ISO

GRUB_CFG = """\
set timeout=0
terminal_output console
if [ "$grub_platform" = efi ]; then
    insmod efi_gop
fi
menuentry Ringmaster {{
{body}
    # multiboot2 has just set it to auto, for the header's framebuffer tag. A BIOS always has text, and
    # GRUB 2.06 crashes where the video BIOS has modes with a palette only, as in Bochs.
    if [ "$grub_platform" = pc ]; then
        set gfxpayload=text
    fi
}}
"""


class IsoError(Exception):
    pass


def grub_quote(word):
    """The word for GRUB's script parser. In single quotes nothing is special but the single quote."""
    if word and all(c.isalnum() or c in "=/._,:+-" for c in word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


class _Staging:
    """The files of the ISO; the same file used by two VMs is stored once."""

    def __init__(self, root):
        self.root = root
        self.stored = {}

    def add(self, file):
        """The path inside the ISO at which the file stands."""
        source = Path(file).resolve()
        if source not in self.stored:
            inside = f"/boot/{source.name}"
            number = 1
            while inside in self.stored.values():
                number += 1
                inside = f"/boot/{number}-{source.name}"
            (self.root / "boot").mkdir(exist_ok=True)
            shutil.copy(source, self.root / inside[1:])
            self.stored[source] = inside
        return self.stored[source]


def _line(command, path, settings, lists=()):
    words = [f"{key}={value}" for key, value in settings.items() if value not in ("", None)]
    words += [f"{key}={item}" for key, item in lists]
    return "    " + " ".join([command, *map(grub_quote, [path, *words])])


def module_lines(config: Config, store):
    """One module2 line a file. `store` maps a file to its path in the ISO."""
    for vm in config.vms:
        lists = [*(("net", net) for net in vm.nets), *(("shared", region.text) for region in vm.shared)]
        yield _line("module2", store(vm.kernel), {"vm": vm.name, "role": "kernel", **vm.settings}, lists)
        if vm.initrd:
            yield _line("module2", store(vm.initrd), {"vm": vm.name, "role": "initrd"})
        for module in vm.modules:
            yield _line("module2", store(module.file), {"vm": vm.name, "role": "module", "cmdline": module.cmdline})
        for disk in vm.disks:
            yield _line("module2", store(disk.file), {"vm": vm.name, "role": "disk", "mode": disk.mode, "id": disk.id})


def grub_cfg(config: Config, kernel, store, acpi=()):
    lines = [f"    acpi --exclude={signature} {store(file)}" for signature, file in acpi]
    lines += [_line("multiboot2", store(kernel), config.options), *module_lines(config, store)]
    return GRUB_CFG.format(body="\n".join(lines))


def make_iso(config: Config, kernel, output, acpi=()):
    """Write the ISO; replaces `output` only when all went well, by a new inode: a running machine keeps
    reading the old one. `acpi`: pairs of a signature and the file that is to be there instead of the firmware's
    table, for tests."""
    output = Path(output)
    if not Path(kernel).is_file():
        raise IsoError(f"no hypervisor at '{kernel}': run make")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mkiso-") as scratch:
        root = Path(scratch) / "root"
        (root / "boot/grub").mkdir(parents=True)
        # Under a name of its own in the staging area, so that no guest's kernel can take its place.
        (root / "boot/grub/grub.cfg").write_text(grub_cfg(config, kernel, _Staging(root).add, acpi))
        _add_efi_modules(root)
        image = Path(scratch) / "image.iso"
        _mkrescue(root, image, ("acpi",) if acpi else ())
        partial = output.with_name(f".{output.name}.{os.getpid()}")
        shutil.move(image, partial)
        os.replace(partial, output)


def make_bare_iso(image, cmdline, output):
    """An ISO whose GRUB boots a Multiboot image with nothing under it."""
    _make_bare_iso("multiboot", [image], cmdline, output)


def make_bare_linux_iso(kernel, initrd, cmdline, output):
    """The same for Linux."""
    _make_bare_iso("linux", [kernel, initrd], cmdline, output)


def _make_bare_iso(loader, files, cmdline, output):
    """The loader is a command of GRUB and the module that has it; a second file is an initrd."""
    with tempfile.TemporaryDirectory(prefix="mkiso-") as scratch:
        root = Path(scratch) / "root"
        (root / "boot/grub").mkdir(parents=True)
        store = _Staging(root).add
        lines = [f"    {loader} {store(files[0])} {cmdline}", *(f"    initrd {store(file)}" for file in files[1:])]
        (root / "boot/grub/grub.cfg").write_text(GRUB_CFG.format(body="\n".join(lines)))
        _mkrescue(root, output, {loader}.difference(GRUB_MODULES))


def _add_efi_modules(root):
    folder = root / "boot/grub" / EFI_MODULE_FOLDER.name
    folder.mkdir()
    for module in EFI_MODULES:
        source = EFI_MODULE_FOLDER / f"{module}.mod"
        if not source.exists():
            raise IsoError(f"no {source}: scripts/setup installs it (package grub-efi-amd64-bin)")
        shutil.copy(source, folder)


def _mkrescue(root, image, more_modules=()):
    tool = shutil.which("grub-mkrescue")
    if not tool:
        raise IsoError("no grub-mkrescue here: scripts/setup installs it (package grub-common)")
    command = [tool, "-o", str(image), "--locales=", "--fonts=", "--themes=",
               f"--install-modules={' '.join((*GRUB_MODULES, *more_modules))}", str(root), "--", "-volid", "RINGMASTER"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode or not image.exists():
        raise IsoError(f"grub-mkrescue failed (status {done.returncode}):\n{done.stderr}")
