$(eval $(call guest,bench-disk,multiboot64))
