$(eval $(call guest,events,multiboot64))
