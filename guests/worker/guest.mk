$(eval $(call guest,worker,multiboot64))
