# Ringmaster: `make run` and `make test` are all that a fresh Debian machine needs; `make help` lists the rest.
SHELL  := /bin/bash
V      ?= 0
Q      := $(if $(filter 0,$(V)),@)
.DEFAULT_GOAL := all

include kernel/kernel.mk
include tests/host/host.mk
include tests/fuzz/fuzz.mk
include guests/guests.mk
include guests/linux/linux.mk
include tests/lab/lab.mk
include scripts/user.mk
