/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptions of VMs out of module lines; the grammar is config.h's. Each Multiboot2 module
 * belongs to a VM and has a role there; keys may stand in any order:
 *
 *   vm=web role=kernel cmdline="console=ttyS0" memory=256M vcpus=1 net=lan0,vlan=10 net=lan1 shared=ring,size=1M
 *   vm=web role=initrd
 *   vm=web role=disk mode=cow id=root
 *
 * A bad line refuses the VM that it names, with the reason, and no other one.
 */
#ifndef KERNEL_VM_CONFIG_H
#define KERNEL_VM_CONFIG_H

#include "kernel/config.h"
#include "kernel/multiboot2.h"
#include "kernel/pci_address.h"

#define VM_CONFIGS_MAX          64
#define VM_NAME_MAX             31
#define VM_DISKS_MAX            8
#define VM_NETS_MAX             4
#define VM_SHARED_MAX           4
#define VM_MODULES_MAX          16
#define VM_DEVICES_MAX          8
#define VM_DEVICES_TEXT_MAX     127
#define VM_VCPUS_MAX            64
#define VM_DISK_ID_MAX          20 /* VIRTIO 1.1, "Device Operation" of the block device: GET_ID */
#define VM_MODULE_CMDLINE_BYTES 256
#define VM_MEMORY_MIN           MIB(1)
#define VM_MEMORY_MIN_FLAT      KIB(64)
#define VM_MEMORY_MAX           (GIB(1) << 14) /* 16T: far beyond any machine, far from wrapping */

/* An image is a Multiboot2 module by its index. */
#define VM_IMAGE_NONE  (~0u)
#define VM_ADDRESS_ANY UINT64_MAX /* not given */

enum vm_format {
    VM_FORMAT_AUTO, /* look into the image */
    VM_FORMAT_LINUX,
    VM_FORMAT_PVH,
    VM_FORMAT_MULTIBOOT,
    VM_FORMAT_FLAT,
};

enum vm_entry_mode { VM_ENTRY_ANY, VM_ENTRY_REAL, VM_ENTRY_PROTECTED }; /* ANY: not given */
enum vm_restart { VM_RESTART_NEVER, VM_RESTART_ON_CRASH, VM_RESTART_ALWAYS };
enum vm_serial { VM_SERIAL_NONE, VM_SERIAL_COM2 };
enum vm_memory_map { VM_MEMORY_MAP_REMAP, VM_MEMORY_MAP_IDENTITY };

/* Which of the guest's consoles appear on ours. */
#define VM_CONSOLE_SERIAL 1u
#define VM_CONSOLE_VIRTIO 2u

enum vm_disk_mode {
    VM_DISK_RO,
    VM_DISK_COW, /* writable; what is written is gone with the VM */
};

struct vm_disk_config {
    unsigned image;
    enum vm_disk_mode mode;
    char id[VM_DISK_ID_MAX + 1];
};

#define VM_MAC_BYTES      6
#define VM_VLAN_MAX       4094
#define VM_NET_QUEUES_MAX 4
#define VM_MTU_MIN        68 /* RFC 791 */
#define VM_MTU_MAX        65535
#define VM_MTU_DEFAULT    1500

/* A network card. */
struct vm_net_config {
    char network[VM_NAME_MAX + 1]; /* the switch, which all cards of that name share */
    uint8_t mac[VM_MAC_BYTES];
    unsigned vlan;
    bool is_trunk;
    bool is_isolated;
    bool spoof_check;
    uint64_t rate; /* bits per second; 0: no limit */
    unsigned queues;
    unsigned mtu;
};

#define VM_SHARED_BYTES_MIN   KIB(4)
#define VM_SHARED_BYTES_MAX   GIB(1)
#define VM_SHARED_VECTORS_MAX 32

/* A region of memory that all VMs have which name it. */
struct vm_shared_config {
    char name[VM_NAME_MAX + 1];
    uint64_t size;    /* a power of two, in each VM the same */
    unsigned vectors; /* interrupts that others can ring */
};

struct vm_module_config {
    unsigned image;
    char cmdline[VM_MODULE_CMDLINE_BYTES];
};

struct vm_config {
    char name[VM_NAME_MAX + 1];
    bool refused;
    struct config_error reason; /* why it is refused; the first reason that was found */

    unsigned kernel; /* image, or VM_IMAGE_NONE */
    unsigned initrd; /* likewise */
    enum vm_format format;
    char cmdline[CONFIG_VALUE_BYTES];
    uint64_t memory; /* bytes */
    unsigned vcpus;
    uint64_t cpus; /* mask of the host CPUs that may run it; 0: any */
    unsigned weight;
    unsigned cap; /* percent of one CPU; 0: none */
    enum vm_restart restart;
    bool debug_exit;
    unsigned vsock_cid;       /* VSOCK_CID_FIRST to VSOCK_CID_LAST; 0: no socket device */
    bool balloon;             /* the guest can give memory back, and take it again */
    bool free_page_reporting; /* and is asked to do so with what it does not use */
    unsigned consoles; /* VM_CONSOLE_* bits */
    enum vm_memory_map memory_map;
    enum vm_serial serial; /* the machine's serial port that is the VM's alone */
    bool vga;              /* likewise the machine's VGA: its memory below 1 MiB, and its ports */

    /* VM_FORMAT_FLAT only; vm_config_check fills in what was not given. */
    uint64_t load;
    uint64_t entry_point;
    enum vm_entry_mode entry;

    struct vm_disk_config disks[VM_DISKS_MAX]; /* in the order of the modules */
    unsigned disk_count;
    struct vm_net_config nets[VM_NETS_MAX];
    unsigned net_count;
    struct vm_shared_config shared[VM_SHARED_MAX];
    unsigned shared_count;
    char devices_text[VM_DEVICES_TEXT_MAX + 1]; /* "00:03.0,01:00.0", or with a segment "0000:00:03.0" */
    struct pci_address devices[VM_DEVICES_MAX];
    unsigned device_count;
    struct vm_module_config modules[VM_MODULES_MAX];
    unsigned module_count;
};

/* The caller's array: too big for a stack. */
struct vm_config_set {
    struct vm_config *vms;
    unsigned capacity;
    unsigned count;
};

/*
 * Adds what a module's line says. On failure error says why, and the VM concerned, if the line
 * names one, is refused: -EINVAL; -ENOENT: it names no VM; -ENOSPC: the set is full.
 */
MUST_CHECK int vm_config_add_module(struct vm_config_set *set, unsigned module_index,
                                    const char *line, struct config_error *error);

/* Adds the card that a value of the key `net` describes: "lan0,mac=02:00:00:00:00:01". -EINVAL: error says why not. */
MUST_CHECK int vm_config_add_net(struct vm_config *vm, const char *value, struct config_error *error);

/* The description is another VM's now, a copy: its cards get addresses of their own. name ends with 0 and fits. */
void vm_config_rename(struct vm_config *vm, const char *name);

/* Adds the region that a value of the key `shared` describes: "ring,size=1M,vectors=2". -EINVAL: error says why not. */
MUST_CHECK int vm_config_add_shared(struct vm_config *vm, const char *value, struct config_error *error);

/* Has it a PCI bus? */
bool vm_config_has_pci(const struct vm_config *vm);

/* Fills devices out of devices_text, or refuses. */
void vm_config_read_devices(struct vm_config *vm);

/* After the last module: refuses what is incomplete or contradicts itself, completes defaults. */
void vm_config_check(struct vm_config_set *set);

/* Both of the above for all modules of a boot; errors and refusals are logged. */
void vm_config_read_boot(struct vm_config_set *set, const struct boot_info *boot);

/* Marks a VM as refused unless it is already; later steps (loaders, memory) use it as well. */
PRINTF_LIKE(2, 3) void vm_config_refuse(struct vm_config *vm, const char *format, ...);

struct vm_config *vm_config_find(const struct vm_config_set *set, const char *name);

/* The keys of the kernel's line: what a description says of the VM itself. */
extern const struct config_table vm_config_table;
extern const struct config_choice vm_format_choices[];

#endif
