$(eval $(call guest,measure,interrupts64))
