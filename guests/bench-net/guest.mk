$(eval $(call guest,bench-net,multiboot64))
