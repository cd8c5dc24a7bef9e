# "multiboot": checks, for ever, that nobody else changed its memory.
$(eval $(call guest,witness,multiboot))
