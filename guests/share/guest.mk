# "interrupts64": shares a region of memory with another guest, and rings its doorbell.
$(eval $(call guest,share,interrupts64))
