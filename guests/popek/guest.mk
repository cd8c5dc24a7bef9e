$(eval $(call guest,popek,multiboot64))

# The constants of layout.h for NASM, too.
$(GUEST_BUILD)/popek/layout.inc: guests/popek/layout.h
	@mkdir -p $(@D)
	$(Q)sed -n 's/^#define \([A-Z_0-9]*\) \([0-9][0-9A-Fa-fx]*\).*/%define \1 \2/p' $< > $@
$(GUEST_BUILD)/64/guests/popek/cases.o: $(GUEST_BUILD)/popek/layout.inc guests/popek/cases.inc guests/popek/paging.inc
$(GUEST_BUILD)/64/guests/popek/switch.o: $(GUEST_BUILD)/popek/layout.inc
