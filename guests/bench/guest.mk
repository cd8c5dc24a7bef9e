$(eval $(call guest,bench,interrupts64))

# What is measured does not lie in the last bytes of a page, where an instruction is fetched in two pieces.
$(GUEST_BUILD)/64/guests/bench/main.o: GUEST_CFLAGS += -falign-functions=128
