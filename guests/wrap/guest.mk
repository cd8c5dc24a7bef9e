$(eval $(call guest,wrap,multiboot))
