# SPDX-License-Identifier: BSD-2-Clause
"""The VM descriptions that system tests share."""

POWER_OFF = """
[ringmaster]
on_idle = "poweroff"
"""


def options(**settings):
    """The hypervisor's command line: options(apicv=False)."""
    lines = [f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in settings.items()]
    return POWER_OFF + "\n".join(lines) + "\n"


def linux(name="linux", cmdline="", kernel="vmlinuz", console="ttyS0", extra=""):
    """Debian's kernel with a disk. `quiet` keeps the log short: the console is as slow as a real one."""
    return f"""
[vm.{name}]
kernel  = "build/linux/{kernel}"
initrd  = "build/linux/initramfs.zst"
cmdline = "console={console} quiet cryptomgr.notests {cmdline}"
memory  = "256M"
disks   = [{{ file = "build/linux/disk.img", mode = "cow", id = "test-disk" }}]
{extra}
"""


def linux_pc(cmdline, extra):
    """Debian's kernel for PCs, which has drivers of what a PC has."""
    return f"""
[vm.linux]
kernel  = "build/linux-pc/vmlinux"
initrd  = "build/linux-pc/initramfs.zst"
cmdline = "console=ttyS0 quiet cryptomgr.notests {cmdline}"
memory  = "256M"
{extra}
"""


def guest(name, image, extra=""):
    """A tiny guest out of build/guests; the debug exit port ends it."""
    return f"""
[vm.{name}]
kernel = "build/guests/{image}"
memory = "16M"
debug_exit = true
{extra}
"""


def stopped(name, reason):
    """The event line of a VM's end."""
    return rf"^rm: event=vm-stop vm={name} reason={reason}(?: |$)"


def started(name):
    return rf"^rm: event=vm-start vm={name}$"
