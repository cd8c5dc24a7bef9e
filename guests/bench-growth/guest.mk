$(eval $(call guest,bench-growth,interrupts64))
