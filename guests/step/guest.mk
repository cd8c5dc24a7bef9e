$(eval $(call guest,step,multiboot64))
