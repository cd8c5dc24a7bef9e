$(eval $(call guest,crash,multiboot))
