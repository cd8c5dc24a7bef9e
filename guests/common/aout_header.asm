; SPDX-License-Identifier: BSD-2-Clause
; The Multiboot header of a flat file: with its load addresses.

%define AOUT_KLUDGE
%include "guests/common/multiboot_header.asm"
