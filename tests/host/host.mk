# Host unit tests: the same sources as in the kernel, compiled for the host under ASan and UBSan by
# gcc and by clang, linked as a library; one tests/host/*_test.c is one program.

HOST_COMPILERS ?= gcc clang
HOST_BUILD     := build/host
HOST_CFLAGS    := -std=gnu17 -g -O1 -I. -Wall -Wextra -Werror -Wshadow -Wundef -Wvla \
                  -fno-omit-frame-pointer
# A flavour of objects is a folder of build/host: a compiler, or the use that they are for.
HOST_CC_fuzz      := clang
HOST_CC_coverage  := gcc
HOST_SANITIZE     := -fsanitize=address,undefined -fno-sanitize-recover=all
HOST_FLAGS_gcc    := $(HOST_SANITIZE)
HOST_FLAGS_clang  := $(HOST_SANITIZE)
HOST_FLAGS_fuzz   := $(HOST_SANITIZE) -fsanitize=fuzzer-no-link -O2
HOST_FLAGS_coverage := --coverage -fprofile-abs-path -O0

# What needs a CPU, a real machine or libc's own names is not hosted; fake/ has stand-ins for some of it.
# Rigs that say what others in fake/ say, too, are linked with their tests alone.
HOST_RIGS     := $(addprefix tests/host/fake/,machine_rig.c pci_passthrough_rig.c pt_rig.c sched_rig.c virtio_blk_rig.c virtio_mmio_rig.c \
                 virtio_net_rig.c virtqueue_rig.c)
HOST_EXCLUDED := kernel/lib/string.c kernel/main.c $(wildcard kernel/machine*.c) kernel/log.c kernel/panic.c \
                 kernel/timer.c kernel/vcpu.c kernel/sched.c kernel/control.c kernel/manager.c kernel/frames.c kernel/ballooning.c \
                 $(HOST_RIGS)
HOST_GUEST    := decode emulate gva boot boot_% elf aml acpi_tables access cpuid cr event hypercall io mmio msr pv_eoi pvclock speculation startup steal_time task_switch task_segment breakpoint world_msr
HOST_SOURCES  := $(filter-out $(HOST_EXCLUDED),$(wildcard kernel/lib/*.c kernel/*.c drivers/net/*.c drivers/virt/*.c)) \
                 $(filter $(HOST_GUEST:%=arch/x86/guest/%.c),$(wildcard arch/x86/guest/*.c)) \
                 $(wildcard arch/x86/acpi.c arch/x86/acpi_*.c arch/x86/vmx/ept.c arch/x86/vmx/vmx_caps.c) \
                 $(addprefix arch/x86/,clock_measure.c machine_check.c paging_format.c) \
                 $(wildcard arch/x86/svm/*.c) \
                 $(addprefix drivers/host/,terminal.c screen.c vga_text.c framebuffer.c keyboard.c host_uart.c) build/font.c $(filter-out $(HOST_EXCLUDED),$(wildcard tests/host/fake/*.c))
HOST_SOURCES  += $(filter-out arch/x86/vtd/vtd_reg.c,$(wildcard arch/x86/vtd/*.c)) \
                 arch/x86/unsafe_dma.c $(filter-out drivers/host/pci_config.c,$(wildcard drivers/host/pci*.c))
HOST_TESTS    := $(patsubst tests/host/%.c,%,$(wildcard tests/host/*_test.c))

# These ask the CPU what it can do, and get a stand-in of arch/x86/cpu.h.
HOST_ASKS_CPU := arch/x86/vmx/vmx_caps.c arch/x86/svm/svm_caps.c arch/x86/guest/speculation.c arch/x86/guest/world_msr.c arch/x86/machine_check.c tests/host/fake/features.c
# Their ports are the test's: a stand-in of arch/x86/io.h.
HOST_HAS_PORTS := drivers/host/host_uart.c kernel/machine_legacy.c

# The tests of what the others have a stand-in for: linked before the library, so that the real one counts. And rigs.
REAL_timer_test := kernel/timer.c
REAL_panic_test := kernel/panic.c
REAL_backtrace_test := arch/x86/backtrace.c
REAL_pci_passthrough_test := tests/host/fake/pci_passthrough_rig.c
REAL_pci_passthrough_msi_test := $(REAL_pci_passthrough_test)
REAL_pt_test := tests/host/fake/pt_rig.c
REAL_pt_random_test := $(REAL_pt_test)
REAL_sched_test := kernel/sched.c tests/host/fake/sched_rig.c
REAL_sched_wake_test := $(REAL_sched_test)
REAL_virtqueue_test := tests/host/fake/virtqueue_rig.c
REAL_virtqueue_hostile_test := $(REAL_virtqueue_test)
REAL_virtio_blk_test := tests/host/fake/virtio_blk_rig.c
REAL_virtio_blk_types_test := $(REAL_virtio_blk_test)
REAL_virtio_mmio_test := tests/host/fake/virtio_mmio_rig.c
REAL_virtio_serve_test := $(REAL_virtio_mmio_test)
REAL_virtio_net_test := tests/host/fake/virtio_net_rig.c
REAL_virtio_net_offload_test := $(REAL_virtio_net_test)
REAL_manager_test := kernel/manager.c
REAL_run_loop_test := kernel/vcpu.c
REAL_shell_test := kernel/machine_net.c
REAL_shell_vm_test := kernel/machine_net.c
REAL_shell_host_test := kernel/machine_net.c
REAL_shell_top_test := kernel/machine_net.c
REAL_machine_ranges_test := kernel/machine_ranges.c
REAL_machine_bar_test := kernel/machine_bar.c
REAL_machine_pin_test := kernel/machine_pin.c
REAL_ballooning_test := kernel/ballooning.c
REAL_machine_legacy_test := kernel/machine_legacy.c
REAL_smp_test := arch/x86/smp.c
REAL_machine_failure_test := tests/host/fake/machine_rig.c $(wildcard kernel/machine*.c) kernel/ballooning.c kernel/manager.c arch/x86/device_irq.c

# $(1) flavour
define host_rules
$(HOST_BUILD)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$(Q)$(or $(HOST_CC_$(1)),$(1)) $$(HOST_FIRST) $(HOST_CFLAGS) $(HOST_FLAGS_$(1)) $$(if $$(filter tests/%,$$<),,-Wconversion -Wno-sign-conversion) -MMD -MP -c $$< -o $$@
$(HOST_BUILD)/$(1)/ringmaster.a: $(HOST_SOURCES:%.c=$(HOST_BUILD)/$(1)/%.o)
	@rm -f $$@
	$(Q)ar rcs $$@ $$^
$(HOST_BUILD)/$(1)/%_test: $(HOST_BUILD)/$(1)/tests/host/%_test.o $(HOST_BUILD)/$(1)/ringmaster.a
	$(Q)$(or $(HOST_CC_$(1)),$(1)) $(HOST_CFLAGS) $(HOST_FLAGS_$(1)) $$(filter %.o,$$^) $(HOST_BUILD)/$(1)/ringmaster.a -lcmocka $$(if $$(filter decode%,$$*),-lcapstone) -o $$@
$(patsubst %.c,$(HOST_BUILD)/$(1)/%.o,$(HOST_ASKS_CPU) $(HOST_HAS_PORTS)): HOST_FIRST := -iquote tests/host/fake/include
endef
define host_real_rule
$(HOST_BUILD)/$(1)/$(2): $(REAL_$(2):%.c=$(HOST_BUILD)/$(1)/%.o)
endef
$(foreach flavour,$(HOST_COMPILERS) fuzz coverage,$(eval $(call host_rules,$(flavour)))\
    $(foreach test,$(HOST_TESTS),$(eval $(call host_real_rule,$(flavour),$(test)))))
HOST_PROGRAMS := $(foreach compiler,$(HOST_COMPILERS),$(HOST_TESTS:%=$(HOST_BUILD)/$(compiler)/%))
.SECONDARY:

.PHONY: host-programs host-test coverage-programs
host-programs: $(HOST_PROGRAMS)

# For one's own work; `make test` runs the same programs through pytest. One module: make host-test T=uart_test
host-test: $(if $(T),$(foreach c,$(HOST_COMPILERS),$(HOST_BUILD)/$(c)/$(T)),$(HOST_PROGRAMS))
	@for p in $^; do ./$$p || exit 1; done

# What the tests reach, for scripts/coverage: it runs them.
coverage-programs: $(HOST_TESTS:%=$(HOST_BUILD)/coverage/%)

-include $(HOST_PROGRAMS:=.d) $(shell find $(HOST_BUILD) -name '*.d' 2>/dev/null)
