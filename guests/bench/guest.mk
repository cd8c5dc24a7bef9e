$(eval $(call guest,bench,multiboot64))
