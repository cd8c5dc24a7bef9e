# "multiboot": runs the bus-master engine of QEMU's edu device wherever its console says.
$(eval $(call guest,edu,multiboot))
