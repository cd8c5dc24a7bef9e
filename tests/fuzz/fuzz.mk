# libFuzzer targets: tests/fuzz/NAME_fuzz.c is one, linked with what the host tests are linked with.

FUZZ_BUILD   := $(HOST_BUILD)/fuzz
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*_fuzz.c))

$(FUZZ_BUILD)/%_fuzz: $(FUZZ_BUILD)/tests/fuzz/%_fuzz.o $(FUZZ_BUILD)/ringmaster.a
	$(Q)clang $(HOST_SANITIZE) -fsanitize=fuzzer $(filter %.o,$^) $(FUZZ_BUILD)/ringmaster.a -lcmocka -o $@

# What the others have a stand-in for, as in tests/host/host.mk.
$(FUZZ_BUILD)/shell_fuzz: $(FUZZ_BUILD)/kernel/machine_net.o

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/%)
