$(eval $(call guest,bench,interrupts64))
