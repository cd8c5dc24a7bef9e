# "multiboot": runs the bus-master engine of QEMU's edu device wherever its command line says.
$(eval $(call guest,edu,multiboot))
