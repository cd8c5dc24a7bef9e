$(eval $(call guest,hello-multiboot64,multiboot64))
