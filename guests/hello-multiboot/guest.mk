$(eval $(call guest,hello-multiboot,multiboot))
