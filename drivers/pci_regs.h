/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one home of PCI's configuration registers, for who drives a function and who plays one: PCI
 * Local Bus Specification, "Configuration Space Header"; PCI Express Base Specification, "Software
 * Initialization and Configuration".
 */
#ifndef DRIVERS_PCI_REGS_H
#define DRIVERS_PCI_REGS_H

#define PCI_CONFIG_ADDRESS_PORT   0xcf8
#define PCI_CONFIG_DATA_PORT      0xcfc
#define PCI_CONFIG_ADDRESS_ENABLE 0x80000000u

#define PCI_CONFIG_BYTES          256u
#define PCI_EXTENDED_CONFIG_BYTES 4096u
#define PCI_ECAM_BUS_BYTES        MIB(1)

#define PCI_VENDOR_ID       0x00
#define PCI_DEVICE_ID       0x02
#define PCI_COMMAND         0x04
#define PCI_STATUS          0x06
#define PCI_REVISION_ID     0x08
#define PCI_CLASS           0x09 /* three bytes: interface, sub-class, base class */
#define PCI_HEADER_TYPE     0x0e
#define PCI_BAR0            0x10
#define PCI_ROM             0x30
#define PCI_CAPABILITIES    0x34
#define PCI_INTERRUPT_LINE  0x3c
#define PCI_INTERRUPT_PIN   0x3d
#define PCI_PRIMARY_BUS     0x18 /* of bridges; so are the next four */
#define PCI_SECONDARY_BUS   0x19
#define PCI_SUBORDINATE_BUS 0x1a
#define PCI_BRIDGE_ROM      0x38
#define PCI_BRIDGE_CONTROL  0x3e

#define PCI_VENDOR_NONE 0xffffu

#define PCI_COMMAND_IO       0x0001u
#define PCI_COMMAND_MEMORY   0x0002u
#define PCI_COMMAND_MASTER   0x0004u
#define PCI_COMMAND_INTX_OFF 0x0400u
#define PCI_STATUS_INTERRUPT 0x0008u /* pending, whether or not it is held back */
#define PCI_STATUS_CAP_LIST  0x0010u
#define PCI_HEADER_TYPE_MASK 0x7fu
#define PCI_HEADER_NORMAL    0x00u
#define PCI_HEADER_BRIDGE    0x01u
#define PCI_HEADER_MULTI     0x80u
#define PCI_BRIDGE_BUS_RESET 0x0040u

#define PCI_BAR_IO          0x1u
#define PCI_BAR_IO_MASK     0xfffffffcu
#define PCI_BAR_TYPE_MASK   0x6u
#define PCI_BAR_TYPE_64     0x4u
#define PCI_BAR_PREFETCH    0x8u
#define PCI_BAR_MEMORY_MASK 0xfffffff0u
#define PCI_ROM_ENABLE      0x1u
#define PCI_ROM_MASK        0xfffff800u

/* Base classes and sub-classes that somebody asks for. */
#define PCI_CLASS_DISPLAY    0x03
#define PCI_CLASS_MEMORY     0x05
#define PCI_SUBCLASS_RAM     0x00
#define PCI_CLASS_BRIDGE     0x06
#define PCI_SUBCLASS_HOST    0x00
#define PCI_CLASS_SERIAL_BUS 0x0c
#define PCI_SUBCLASS_USB     0x03

/* "Capabilities List" */
#define PCI_CAP_ID_PM   0x01
#define PCI_CAP_ID_MSI  0x05
#define PCI_CAP_ID_VENDOR 0x09 /* its length is in byte 2 */
#define PCI_CAP_ID_PCIE 0x10
#define PCI_CAP_ID_MSIX 0x11
#define PCI_CAP_ID_AF   0x13
#define PCI_CAP_FIRST   0x40

/* "PCI Express Extended Capabilities": id 15:0, version 19:16, next 31:20. */
#define PCI_EXT_CAP_ID_ACS   0x000d
#define PCI_EXT_CAP_ID_ATS   0x000f
#define PCI_EXT_CAP_ID_SRIOV 0x0010
#define PCI_EXT_CAP_FIRST    0x100

#define PCI_PM_CONTROL          4
#define PCI_PM_CONTROL_STATE    0x3u
#define PCI_PM_CONTROL_NO_RESET 0x8u

#define PCI_MSI_CONTROL               2
#define PCI_MSI_CONTROL_ENABLE        0x0001u
#define PCI_MSI_CONTROL_CAPABLE_SHIFT 1 /* log2 of the messages that it asks for, 3 bits */
#define PCI_MSI_CONTROL_ENABLED_SHIFT 4
#define PCI_MSI_CONTROL_64            0x0080u
#define PCI_MSI_CONTROL_MASKS         0x0100u

#define PCI_MSIX_CONTROL        2
#define PCI_MSIX_CONTROL_SIZE   0x07ffu /* less 1 */
#define PCI_MSIX_CONTROL_MASK   0x4000u
#define PCI_MSIX_CONTROL_ENABLE 0x8000u
#define PCI_MSIX_TABLE          4 /* offset, with the BAR's number in bits 2:0 */
#define PCI_MSIX_PBA            8
#define PCI_MSIX_BAR_MASK       0x7u
#define PCI_MSIX_ENTRY_BYTES    16u

#define PCI_EXP_FLAGS            2
#define PCI_EXP_FLAGS_TYPE_SHIFT 4
#define PCI_EXP_FLAGS_TYPE_MASK  0xfu
#define PCI_EXP_DEVCAP           4
#define PCI_EXP_DEVCAP_FLR       0x10000000u
#define PCI_EXP_DEVCTL           8
#define PCI_EXP_DEVCTL_FLR       0x8000u
#define PCI_EXP_DEVSTA           10
#define PCI_EXP_DEVSTA_PENDING   0x0020u

#define PCI_EXP_TYPE_ENDPOINT        0x0
#define PCI_EXP_TYPE_LEGACY_ENDPOINT 0x1
#define PCI_EXP_TYPE_ROOT_PORT       0x4
#define PCI_EXP_TYPE_UPSTREAM        0x5
#define PCI_EXP_TYPE_DOWNSTREAM      0x6
#define PCI_EXP_TYPE_PCI_BRIDGE      0x7 /* PCI Express to PCI */
#define PCI_EXP_TYPE_PCIE_BRIDGE     0x8 /* PCI to PCI Express */
#define PCI_EXP_TYPE_INTEGRATED      0x9
#define PCI_EXP_TYPE_EVENT_COLLECTOR 0xa

#define PCI_AF_CAP         3
#define PCI_AF_CAP_TP      0x01u
#define PCI_AF_CAP_FLR     0x02u
#define PCI_AF_CONTROL     4
#define PCI_AF_CONTROL_FLR 0x01u
#define PCI_AF_STATUS      5
#define PCI_AF_STATUS_TP   0x01u

/* "ACS Extended Capability" */
#define PCI_ACS_CAP                 4
#define PCI_ACS_CONTROL             6
#define PCI_ACS_SOURCE_VALIDATION   0x01u
#define PCI_ACS_REQUEST_REDIRECT    0x04u
#define PCI_ACS_COMPLETION_REDIRECT 0x08u
#define PCI_ACS_UPSTREAM_FORWARD    0x10u

#define PCI_ATS_CONTROL        6
#define PCI_ATS_CONTROL_ENABLE 0x8000u

#endif
