# The tiny guests: guests/NAME/guest.mk says what kind NAME is, by one line
#     $(eval $(call guest,NAME,KIND))
# and KIND, a row below, says how it is built and started. To add a guest: a folder with main.c and that line.

GUEST_BUILD := build/guests
GUEST_CC    ?= $(CROSS_COMPILE)gcc
GUEST_OBJCOPY ?= $(CROSS_COMPILE)objcopy
GUEST_CFLAGS := -std=gnu17 -ffreestanding -O2 -g -I. -Wall -Wextra -Werror -Wshadow -Wundef -Wvla \
                -Wmissing-prototypes -Wstrict-prototypes -fno-common -fno-pic -fno-stack-protector \
                -fno-asynchronous-unwind-tables -fcf-protection=none -mgeneral-regs-only -mno-red-zone
GUEST_LDFLAGS := -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments

# KIND: word size, what it is linked with from guests/common, the file that is booted
GUEST_BITS_multiboot   := 32
GUEST_START_multiboot  := start32.asm multiboot_header.asm multiboot.c guest.c
GUEST_FILE_multiboot   := elf
GUEST_BITS_multiboot64 := 64
GUEST_START_multiboot64 := start64.asm multiboot_header.asm multiboot.c virtio.c guest.c
GUEST_FILE_multiboot64 := elf
GUEST_BITS_interrupts64 := 64
GUEST_START_interrupts64 := $(GUEST_START_multiboot64) traps.c apic.c
GUEST_FILE_interrupts64 := elf
GUEST_BITS_smp64       := 64
GUEST_START_smp64      := $(GUEST_START_interrupts64) ap_start.asm smp.c
GUEST_FILE_smp64       := elf
GUEST_BITS_aout        := 32
GUEST_START_aout       := start32.asm aout_header.asm multiboot.c guest.c
GUEST_FILE_aout        := bin
GUEST_BITS_protected   := 32
GUEST_START_protected  := start32.asm guest.c
GUEST_FILE_protected   := bin
GUEST_BITS_pvh         := 32
GUEST_START_pvh        := start32.asm pvh_note.asm guest.c
GUEST_FILE_pvh         := elf

# $(1) word size: objects of either size are kept apart, for guests/common is in both.
define guest_objects
$(GUEST_BUILD)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(Q)$$(GUEST_CC) -m$(1) $$(GUEST_CFLAGS) -MMD -MP -c $$< -o $$@
$(GUEST_BUILD)/$(1)/%.o: %.asm
	@mkdir -p $$(@D)
	$$(Q)nasm -f elf$(1) -Wall -Werror -I $(GUEST_BUILD)/ $$< -o $$@
endef
$(foreach bits,32 64,$(eval $(call guest_objects,$(bits))))

# A flat file with what its .bss would be, unless the header of the file tells the loader of it.
GUEST_FLAT_BSS_protected := --set-section-flags .bss=alloc,load,contents

# $(1) name, $(2) kind
define guest
GUEST_IMAGES += $(GUEST_BUILD)/$(1).$(GUEST_FILE_$(2))
$(GUEST_BUILD)/$(1).elf: $(addprefix $(GUEST_BUILD)/$(GUEST_BITS_$(2))/guests/,$(patsubst %,%.o,$(basename \
    $(addprefix common/,$(GUEST_START_$(2))) $(patsubst guests/%,%,$(wildcard guests/$(1)/*.c guests/$(1)/*.asm))))) guests/common/guest.ld
	$$(Q)$$(GUEST_CC) -m$(GUEST_BITS_$(2)) $$(GUEST_LDFLAGS) -Wl,-T,guests/common/guest.ld $$(filter %.o,$$^) -o $$@
$(GUEST_BUILD)/$(1).bin: $(GUEST_BUILD)/$(1).elf
	$$(Q)$$(GUEST_OBJCOPY) -O binary $(GUEST_FLAT_BSS_$(2)) $$< $$@
endef

# $(1) name: one assembly file, 16-bit, no linking
define guest_real
GUEST_IMAGES += $(GUEST_BUILD)/$(1).bin
$(GUEST_BUILD)/$(1).bin: guests/$(1)/main.asm
	@mkdir -p $$(@D)
	$$(Q)nasm -f bin -Wall -Werror $$< -o $$@
endef

include $(wildcard guests/*/guest.mk)

.PHONY: guests
guests: $(GUEST_IMAGES)
	@:

-include $(shell find $(GUEST_BUILD) -name '*.d' 2>/dev/null)
