# The Linux guest: Debian's cloud kernel as it is, and around it the smallest user land that can show
# that its devices work. Nothing is installed; the kernel's package is fetched once (rm -r build/linux
# fetches anew). See guests/README.md.

LINUX_BUILD   := build/linux
LINUX_FILES   := $(addprefix $(LINUX_BUILD)/,vmlinuz vmlinux initramfs.zst disk.img)
LINUX_RECIPES := guests/linux
# In order: a module stands behind what it needs. ext4 is built in.
LINUX_MODULES := virtio_ring virtio virtio_mmio virtio_console virtio_blk failover net_failover virtio_net \
                 virtio-rng virtio_balloon virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci \
                 vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport
# In the initramfs too, and loaded only for bridge=.
LINUX_MODULES_ON_DEMAND := llc stp bridge
# Room for the file system and the 8 MiB of the disk test.
LINUX_DISK_MIB := 16

# The kernel for PCs, because the cloud's has no drivers of what a PC has: for tests of passthrough only.
LINUX_PC_BUILD   := build/linux-pc
LINUX_PC_FILES   := $(addprefix $(LINUX_PC_BUILD)/,vmlinux initramfs.zst)
LINUX_PC_MODULES := e1000 e1000e scsi_common scsi_mod libata libahci ahci crct10dif_common crc-t10dif crc64 crc64-rocksoft \
                    t10-pi sd_mod crc16 crc32c_generic mbcache jbd2 ext4

.PHONY: guest-linux guest-linux-pc
guest-linux: $(LINUX_FILES)
	@:
guest-linux-pc: $(LINUX_PC_FILES)
	@:

$(LINUX_PC_BUILD)/vmlinuz: $(LINUX_RECIPES)/fetch $(LINUX_RECIPES)/linux.mk
	$(Q)$< linux-image-amd64 $(LINUX_PC_BUILD) $(LINUX_PC_MODULES)

$(LINUX_PC_BUILD)/vmlinux: $(LINUX_RECIPES)/extract-vmlinux $(LINUX_PC_BUILD)/vmlinuz
	$(Q)$^ $@

$(LINUX_PC_BUILD)/initramfs.zst: $(LINUX_RECIPES)/make-initramfs $(LINUX_RECIPES)/init $(LINUX_BUILD)/vsock $(LINUX_PC_BUILD)/vmlinuz
	$(Q)$< $(LINUX_RECIPES)/init $(LINUX_BUILD)/vsock $(LINUX_PC_BUILD)/modules $@ $(LINUX_PC_MODULES)

$(LINUX_BUILD)/vmlinuz: $(LINUX_RECIPES)/fetch $(LINUX_RECIPES)/linux.mk
	$(Q)$< linux-image-cloud-amd64 $(LINUX_BUILD) $(LINUX_MODULES) $(LINUX_MODULES_ON_DEMAND) $(LAB_MODULES) \
	    $(LAB_NET_MODULES)

$(LINUX_BUILD)/vmlinux: $(LINUX_RECIPES)/extract-vmlinux $(LINUX_BUILD)/vmlinuz
	$(Q)$^ $@

$(LINUX_BUILD)/vsock: $(LINUX_RECIPES)/vsock.c
	@mkdir -p $(@D)
	$(Q)gcc -std=gnu17 -O2 -s -static -Wall -Wextra -Werror $< -o $@

$(LINUX_BUILD)/initramfs.zst: $(LINUX_RECIPES)/make-initramfs $(LINUX_RECIPES)/init $(LINUX_BUILD)/vsock $(LINUX_BUILD)/vmlinuz
	$(Q)$< $(LINUX_RECIPES)/init $(LINUX_BUILD)/vsock $(LINUX_BUILD)/modules $@ $(LINUX_MODULES) -- $(LINUX_MODULES_ON_DEMAND)

# No journal and no lazy initialisation: the fewer blocks it writes by itself, the more repeatable a run.
$(LINUX_BUILD)/disk.img: $(LINUX_RECIPES)/linux.mk
	@mkdir -p $(@D)/root && echo 'Ringmaster test disk' > $(@D)/root/README
	@rm -f $@
	$(Q)mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=0 -L ringmaster -d $(@D)/root $@ $(LINUX_DISK_MIB)M
