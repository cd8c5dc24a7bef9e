# The hypervisor: build/ringmaster.elf, a Multiboot2 image.

CROSS_COMPILE ?=
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
LD      := $(CROSS_COMPILE)ld
OBJCOPY := $(CROSS_COMPILE)objcopy
NM      := $(CROSS_COMPILE)nm
NASM    ?= nasm

KERNEL_BUILD := build/kernel
KERNEL_ELF   := build/ringmaster.elf

# Without vector registers nothing needs more than 8: an instruction or two less in most functions.
IS_CLANG := $(findstring clang,$(shell $(CC) --version))
STACK_ALIGNMENT := $(if $(IS_CLANG),-mstack-alignment=8,-mpreferred-stack-boundary=3)
# Tables of bytes need no cache line of their own.
PACKED_DATA := $(if $(IS_CLANG),,-malign-data=abi)

# Functions of one file are inlined into others.
LTO := $(if $(IS_CLANG),,-flto=2 -fno-fat-lto-objects)

KERNEL_CFLAGS := -std=gnu17 -g -I. -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
    -mgeneral-regs-only $(STACK_ALIGNMENT) -fomit-frame-pointer -fno-asynchronous-unwind-tables -fno-common \
    -mstack-protector-guard=global -fno-strict-aliasing -fcf-protection=none $(PACKED_DATA) \
    -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=. \
    -Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wmissing-prototypes -Wstrict-prototypes \
    -Wundef -Wvla
KERNEL_LDFLAGS := -nostdlib -static -z max-page-size=4096 -z noexecstack --gc-sections --sort-section=alignment --build-id=none -T linker.ld

KERNEL_C   := $(wildcard kernel/*.c kernel/lib/*.c arch/x86/*.c arch/x86/guest/*.c arch/x86/vmx/*.c arch/x86/svm/*.c \
                         drivers/host/*.c drivers/net/*.c drivers/virt/*.c)
KERNEL_C   += $(wildcard arch/x86/vtd/*.c)
KERNEL_C   := $(filter-out arch/x86/asm_offsets.c,$(KERNEL_C))
KERNEL_ASM := $(wildcard boot/*.asm arch/x86/*.asm arch/x86/vmx/*.asm arch/x86/svm/*.asm)
KERNEL_OBJ := $(KERNEL_C:%.c=$(KERNEL_BUILD)/%.o) $(KERNEL_BUILD)/font.o $(KERNEL_ASM:%.asm=$(KERNEL_BUILD)/%.asm.o)

# Small is better than fast, but for what runs while guests do. Of GCC's ideas of small some need more room.
SMALL := -Oz $(if $(IS_CLANG),,-fno-inline-small-functions -fno-jump-tables -fno-tree-ch -fno-tree-pre -fno-code-hoisting \
    -fno-move-loop-invariants -fno-schedule-insns2 -fno-shrink-wrap)
$(KERNEL_OBJ): FILE_FLAGS := $(SMALL)

# What runs while guests do: exits, their devices, the scheduler.
WARM_C := $(addprefix arch/x86/guest/,event.c gva.c hypercall.c mmio.c speculation.c world.c world_msr.c) \
          $(addprefix kernel/,runqueue.c sched.c vcpu.c lib/string.c) \
          $(addprefix drivers/virt/,lapic_posted.c virtio.c virtio_blk.c virtio_net.c virtqueue.c) \
          $(addprefix drivers/net/,offload.c) kernel/ramdisk.c arch/x86/clock.c arch/x86/vmx/vmx_ops.c arch/x86/svm/svm_ops.c
# On the path of every exit.
HOT_C := arch/x86/vmx/vmx_exit.c arch/x86/svm/svm_exit.c arch/x86/guest/exit.c arch/x86/guest/io.c arch/x86/guest/msr.c \
         kernel/guest_mem.c kernel/io_bus.c kernel/timer.c \
         drivers/virt/lapic.c drivers/virt/lapic_timer.c drivers/virt/virtio_mmio.c \
         drivers/virt/uart.c
# What aligns a loop is executed on the way into it.
FAST := -O2 -falign-functions=1 -falign-loops=1 $(if $(IS_CLANG),,-finline-small-functions -falign-jumps=1 -falign-labels=1)
$(addprefix $(KERNEL_BUILD)/,$(WARM_C:%.c=%.o) $(HOT_C:%.c=%.o)): FILE_FLAGS := $(FAST)

# What walks a guest's tables, decodes its instructions, follows its rings and reads images has a canary wherever a
# local variable has an address; elsewhere one is where there is an array of characters, and none on the path of
# every exit, where it costs seven instructions a function.
PARSER_C := $(addprefix arch/x86/guest/,access.c decode.c elf.c emulate.c gva.c mmio.c $(notdir $(wildcard arch/x86/guest/boot*.c))) \
            drivers/virt/virtqueue.c drivers/virt/virtio.c drivers/net/offload.c
CANARY := -fstack-protector
$(PARSER_C:%.c=$(KERNEL_BUILD)/%.o): CANARY := -fstack-protector-strong
$(HOT_C:%.c=$(KERNEL_BUILD)/%.o): CANARY := -fno-stack-protector

# Before the second link there are no symbols, which must not be taken for a constant; labels in asm() belong to one file.
NO_LTO_OBJ := $(KERNEL_BUILD)/kernel/panic.o $(KERNEL_BUILD)/arch/x86/trap.o
LTO_OBJ    := $(if $(LTO),$(filter-out $(NO_LTO_OBJ) %.asm.o,$(KERNEL_OBJ)))
$(LTO_OBJ): FILE_LTO := $(LTO)

$(KERNEL_BUILD)/%.o: %.c $(KERNEL_BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CFLAGS) $(FILE_FLAGS) $(FILE_LTO) $(CANARY) -MMD -MP -c $< -o $@

$(KERNEL_BUILD)/%.asm.o: %.asm build/asm_offsets.inc $(KERNEL_BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(NASM) -f elf64 -g -MD $(@:.o=.d) -MP $< -o $@

# The framebuffer console's font comes with GRUB (package grub-common).
FONT ?= /usr/share/grub/unicode.pf2
build/font.c: scripts/font $(FONT)
	@mkdir -p $(@D)
	$(Q)scripts/font $(FONT) > $@.new && mv $@.new $@
$(KERNEL_BUILD)/font.o: build/font.c $(KERNEL_BUILD)/flags
	$(Q)$(CC) $(KERNEL_CFLAGS) $(FILE_LTO) -MMD -MP -c $< -o $@

# Offsets that assembly needs come from C: see arch/x86/asm_offsets.c.
build/asm_offsets.inc: arch/x86/asm_offsets.c $(KERNEL_BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CFLAGS) -MMD -MP -MT $@ -MF $(KERNEL_BUILD)/asm_offsets.d -S $< -o - | sed -n 's/.*"->\(.*\)".*/\1/p' > $@.new
	$(Q)mv $@.new $@

# A change of compiler or flags rebuilds everything.
KERNEL_FLAGS = $(CC) $(KERNEL_CFLAGS) $(SMALL) $(FAST) $(CANARY) $(LTO) $(WARM_C) $(HOT_C) $(PARSER_C)
$(KERNEL_BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(KERNEL_FLAGS)' | cmp -s - $@ || echo '$(KERNEL_FLAGS)' > $@

# With link-time optimization the compiler is the linker's driver.
LINK := $(if $(LTO),$(CC) $(KERNEL_CFLAGS) $(SMALL) $(LTO) -nostdlib -static -no-pie $(patsubst %,-Xlinker %,$(KERNEL_LDFLAGS)),$(LD) $(KERNEL_LDFLAGS))

# Two links: the second has the table of the first one's functions, for backtraces. It lies behind all text, which thus does not move.
$(KERNEL_BUILD)/first.elf: $(KERNEL_OBJ) linker.ld
	$(Q)$(LINK) $(KERNEL_OBJ) -o $@
$(KERNEL_BUILD)/symbols.asm: $(KERNEL_BUILD)/first.elf scripts/symbols
	$(Q)$(NM) -n $< | scripts/symbols > $@
$(KERNEL_BUILD)/symbols.o: $(KERNEL_BUILD)/symbols.asm
	$(Q)$(NASM) -f elf64 -Werror $< -o $@
$(KERNEL_ELF): $(KERNEL_BUILD)/symbols.o
	$(Q)$(LINK) $(KERNEL_OBJ) $< -o $@

.PHONY: all clean FORCE
all: $(KERNEL_ELF)
clean:
	rm -rf build

-include $(KERNEL_OBJ:.o=.d) $(KERNEL_BUILD)/asm_offsets.d
