# SPDX-License-Identifier: BSD-2-Clause
"""What kind of kernel is this file? The same questions that Ringmaster's loaders ask, so that a file that
is no kernel is refused on the build machine. The loaders check again: this is advice, not protection."""

import struct

MULTIBOOT_HEADER_MAGIC = 0x1BADB002
MULTIBOOT_SEARCH_BYTES = 8192
MULTIBOOT_AOUT_KLUDGE = 1 << 16
LINUX_BOOT_SECTOR_MAGIC = 0xAA55
XEN_ELFNOTE_PHYS32_ENTRY = 18
EM_386, EM_X86_64 = 3, 62
PT_NOTE = 4


def multiboot_flags(data):
    """The flags of the Multiboot 1 header, or None when the image has none."""
    head = data[:MULTIBOOT_SEARCH_BYTES]
    for offset in range(0, len(head) - 11, 4):
        magic, flags, checksum = struct.unpack_from("<3I", head, offset)
        if magic == MULTIBOOT_HEADER_MAGIC and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return flags
    return None


def is_bzimage(data):
    return (
        len(data) > 0x206
        and struct.unpack_from("<H", data, 0x1FE)[0] == LINUX_BOOT_SECTOR_MAGIC
        and data[0x202:0x206] == b"HdrS"
    )


def is_elf(data):
    return data[:4] == b"\x7fELF"


def _elf_note_segments(data):
    wide = data[4] == 2
    if wide:
        phoff, phentsize, phnum = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<2H", data, 54)
    else:
        phoff, phentsize, phnum = *struct.unpack_from("<I", data, 28), *struct.unpack_from("<2H", data, 42)
    for index in range(phnum):
        header = phoff + index * phentsize
        if wide:
            kind, offset, size = *struct.unpack_from("<I", data, header), *struct.unpack_from("<Q", data, header + 8), \
                *struct.unpack_from("<Q", data, header + 32)
        else:
            kind, offset, _, _, size = struct.unpack_from("<5I", data, header)
        if kind == PT_NOTE:
            yield data[offset : offset + size]


def has_pvh_note(data):
    """Does the ELF carry Xen's PHYS32_ENTRY note, by which a vmlinux boots without its decompressor?"""
    try:
        for notes in _elf_note_segments(data):
            at = 0
            while at + 12 <= len(notes):
                name_bytes, desc_bytes, kind = struct.unpack_from("<3I", notes, at)
                name = notes[at + 12 : at + 12 + name_bytes]
                if kind == XEN_ELFNOTE_PHYS32_ENTRY and name.rstrip(b"\0") == b"Xen":
                    return True
                at += 12 + (name_bytes + 3 & ~3) + (desc_bytes + 3 & ~3)
    except struct.error:
        pass  # headers that point outside the file: no note there
    return False


def why_not_bootable(data, flat):
    """None when a loader of Ringmaster takes the image, else the reason why none does."""
    if flat:
        return None if data else "is empty"
    if is_bzimage(data):
        return None
    flags = multiboot_flags(data)
    if is_elf(data):
        if len(data) < 52 or struct.unpack_from("<H", data, 18)[0] not in (EM_386, EM_X86_64):
            return "is an ELF file, but not for x86"
        if flags is None and not has_pvh_note(data):
            return "is an ELF file with neither a Multiboot header nor a PVH note"
        return None
    if flags is None:
        return 'is no bzImage, ELF or Multiboot kernel (a flat image needs format = "flat")'
    if not flags & MULTIBOOT_AOUT_KLUDGE:
        return "has a Multiboot header, but is no ELF file and gives no load address (flag 16)"
    return None
