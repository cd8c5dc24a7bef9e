/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest for tests of the loaders: its RAM (zeroed, as large as a test likes) and a boot request for it. */
#ifndef TESTS_HOST_FAKE_GUEST_H
#define TESTS_HOST_FAKE_GUEST_H

#include "arch/x86/guest/boot.h"

struct fake_guest {
    struct guest_mem mem;
    struct vcpu_start start;
    struct boot_request request; /* all but the images is filled in */
    const char *why;             /* of the last load */
};

void fake_guest_init(struct fake_guest *g, uint64_t ram_bytes);
void fake_guest_free(struct fake_guest *g);

/* Loads into fresh RAM: an earlier load leaves no trace. */
int fake_guest_load(struct fake_guest *g);

/* The host's view; fails the test unless bytes are RAM there. */
void *fake_guest_at(const struct fake_guest *g, uint64_t address, uint64_t bytes);

void fake_guest_assert_loads(struct fake_guest *g);

/* Fails the test unless the load is refused with a reason that contains the text. */
void fake_guest_assert_refused(struct fake_guest *g, const char *text);

/* These bytes as the image, in a block of their own, loads or is refused with a reason. */
void fake_guest_load_copy(struct fake_guest *g, const uint8_t *bytes, uint64_t size);

/*
 * What no malformed image may do: crash, or be refused without a reason. Loads every image that results
 * from cutting this one short (in the first cut_bytes), or from putting an odd value into one of its first
 * poke_bytes, each from a heap block of its exact size, so that a read past the end is seen.
 */
void fake_guest_torture(struct fake_guest *g, uint64_t cut_bytes, uint64_t poke_bytes);

/* A whole file on the heap; size 0 when there is none. */
struct guest_image fake_file_read(const char *path);

#endif
