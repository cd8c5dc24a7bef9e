# What a person types. Each target that needs a tool first lets scripts/setup install it, in a recipe and not
# as a prerequisite: the rest of the Makefile is then read by a make that runs after it.

JOBS         ?= $(shell nproc)
SUBMAKE       = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))
KERNEL_ELF   ?= build/ringmaster.elf
ISO          := build/ringmaster.iso
ISO_CONFIG   ?= configs/default.toml
RUN_FLAGS    ?= --cpus 2
FUZZ_SECONDS ?= 10
PYTEST       := /usr/bin/python3 -m pytest
PYTEST_FLAGS ?= -n 2

.PHONY: help setup iso run test test-all test-programs bench plots popek hostile fuzz prove coverage lint layers gdb compile-commands
help:
	@echo 'make                build $(KERNEL_ELF)'
	@echo 'make run            install what is missing, build, boot $(ISO), console on this terminal'
	@echo 'make test           install what is missing, build, run the tests of every change'
	@echo 'make test-all       and the full matrix of firmware, media and CPUs, and the lab'
	@echo 'make iso            $(ISO) from ISO_CONFIG=$(ISO_CONFIG)'
	@echo 'make host-test      unit tests only; one module: make host-test T=uart_test'
	@echo 'make bench          what exits cost, here and in KVM, as a table and build/bench.json'
	@echo 'make LTO=           a kernel that is linked at once after a change: larger and slower, for debugging'
	@echo 'make plots          the last make bench as tests/bench/*.svg'
	@echo 'make popek          is a VM equivalent to the bare machine? both engines, every sensitive instruction'
	@echo 'make hostile        guests that try to get out or to starve others: how much they tried, on both engines'
	@echo 'make fuzz           each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS); one of them: make fuzz T=virtio'
	@echo 'make prove          what tests/prove says of the arithmetic of bounds, for every argument'
	@echo 'make coverage       what the unit tests reach, and build/coverage/index.html'
	@echo 'make lint           layers, form and static analysis of the source'
	@echo 'make gdb            boot in QEMU and wait for gdb, which is started'
	@echo 'make clean          remove build/'
	@echo
	@echo 'scripts/mkiso --help and scripts/run --help: ISOs and machines of your own'
	@echo 'Variables: V=1 shows commands, RUN_FLAGS and PYTEST_FLAGS are passed on, CROSS_COMPILE=x86_64-linux-gnu-'

setup:
	@scripts/setup

iso: $(ISO)
$(ISO): $(KERNEL_ELF) $(LINUX_FILES) $(ISO_CONFIG) $(wildcard scripts/ringmaster/*.py)
	$(Q)scripts/mkiso $(ISO_CONFIG) -o $@ --kernel $(KERNEL_ELF)

run:
	@scripts/setup
	@+$(SUBMAKE) iso
	@scripts/run $(RUN_FLAGS) $(ISO)

# What the tests run.
test-programs: $(KERNEL_ELF) host-programs fuzz-programs guests guest-linux guest-linux-pc compile-commands

# PYTEST_FLAGS="-n 2 -k disk" chooses among them.
test:
	@scripts/setup
	@+$(SUBMAKE) test-programs
	@$(PYTEST) -m "not full and not lab" $(PYTEST_FLAGS) tests

test-all:
	@scripts/setup
	@+$(SUBMAKE) test-programs lab
	@$(PYTEST) $(PYTEST_FLAGS) tests

bench:
	@scripts/setup
	@+$(SUBMAKE) $(KERNEL_ELF) guests guest-linux $(LAB_BUILD)/kvm.json
	@tests/bench/run --kvm $(LAB_BUILD)/kvm.json

plots:
	@scripts/setup base plots
	@tests/bench/plot

popek:
	@scripts/setup
	@+$(SUBMAKE) $(KERNEL_ELF) guests
	@tests/popek/run

hostile:
	@scripts/setup
	@+$(SUBMAKE) test-programs
	@$(PYTEST) $(PYTEST_FLAGS) -k "chaos or hostile" tests/boot

fuzz:
	@scripts/setup
	@+$(SUBMAKE) fuzz-programs
	@tests/fuzz/run --seconds $(FUZZ_SECONDS) $(T)

prove:
	@scripts/setup base prove
	@tests/prove/run

coverage:
	@scripts/setup base coverage
	@+$(SUBMAKE) coverage-programs
	@scripts/coverage

layers:
	@scripts/layers

lint: layers
	@scripts/setup base lint
	@+$(SUBMAKE) $(KERNEL_ELF) compile-commands
	@scripts/lint

gdb: $(ISO)
	@scripts/setup gdb
	@scripts/gdb $(ISO) $(KERNEL_ELF)

# For editors and clang-tidy: what `make` would compile, and how, but for link-time optimization, which clang spells otherwise.
compile-commands: compile_commands.json
compile_commands.json: scripts/compile-commands $(MAKEFILE_LIST)
	@$(MAKE) --no-print-directory --always-make --dry-run V=1 LTO= $(KERNEL_ELF) 2>/dev/null | $< > $@.new && mv $@.new $@
