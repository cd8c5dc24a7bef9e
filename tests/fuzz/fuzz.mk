# libFuzzer targets: tests/fuzz/NAME_fuzz.c is one, linked with what the host tests are linked with.

FUZZ_BUILD   := $(HOST_BUILD)/fuzz
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*_fuzz.c))

$(FUZZ_BUILD)/%_fuzz: $(FUZZ_BUILD)/tests/fuzz/%_fuzz.o $(FUZZ_BUILD)/ringmaster.a
	$(Q)clang $(HOST_SANITIZE) -fsanitize=fuzzer $^ -lcmocka -o $@

.PHONY: fuzz-programs
fuzz-programs: $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/%)
