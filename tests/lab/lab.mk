# The lab: QEMU/KVM with nested VMX and VT-d on a Debian Linux (level 1) on Bochs. See tests/lab/README.md.

LAB_BUILD   := build/lab
LAB_SOURCES := tests/lab
# In order: a module stands behind what it needs.
LAB_MODULES := irqbypass kvm kvm-intel scsi_common scsi_mod libata ata_piix cdrom sr_mod isofs
# For bench-kvm: KVM's switch between two cards.
LAB_NET_MODULES := llc stp bridge tun tap vhost_iotlb vhost vhost_net

.PHONY: lab
lab: $(LAB_BUILD)/snapshot/complete

$(LAB_BUILD)/e9cat $(LAB_BUILD)/kvmbench: $(LAB_BUILD)/%: $(LAB_SOURCES)/%.c
	@mkdir -p $(@D)
	$(Q)gcc -O2 -Wall -Wextra -Werror -static $< -o $@

$(LAB_BUILD)/level1.iso: $(addprefix $(LAB_SOURCES)/,make-level1 init) $(LAB_BUILD)/e9cat $(LINUX_BUILD)/vmlinuz
	$(Q)$< $(LINUX_BUILD) $(LAB_BUILD)/e9cat $@ $(LAB_MODULES)

# A level 1 that has booted, with QEMU in its page cache: half a minute saved for each test.
$(LAB_BUILD)/snapshot/complete: $(LAB_SOURCES)/make-snapshot $(LAB_SOURCES)/nested.py $(LAB_BUILD)/level1.iso
	$(Q)$< $(LAB_BUILD)/level1.iso $(@D)

$(LAB_BUILD)/net/order: $(LAB_SOURCES)/lab.mk $(LINUX_BUILD)/vmlinuz
	@mkdir -p $(@D)
	$(Q)cp $(LAB_NET_MODULES:%=$(LINUX_BUILD)/modules/%.ko) $(@D)
	$(Q)printf '%s\n' $(LAB_NET_MODULES) >$@

# KVM's figures for make bench. They take minutes, so they are measured again only when something of it is new.
$(LAB_BUILD)/kvm.json: $(LAB_SOURCES)/bench-kvm $(LAB_BUILD)/snapshot/complete $(LAB_BUILD)/kvmbench $(LAB_BUILD)/net/order \
		$(addprefix build/guests/,bench-disk.elf bench-net.elf bench-vcpus.elf)
	$(Q)$< $@.new
	$(Q)mv $@.new $@
