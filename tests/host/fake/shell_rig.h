/* SPDX-License-Identifier: BSD-2-Clause */
/* A person at the console who types and looks at a screen; two VMs, web and db, of a manager that only takes notes. */
#ifndef TESTS_HOST_FAKE_SHELL_RIG_H
#define TESTS_HOST_FAKE_SHELL_RIG_H

#include "tests/host/fake/fake.h"
#include "tests/host/fake/manager.h"
#include "tests/host/fake/vt100.h"
#include "kernel/console.h"
#include "kernel/shell.h"

extern struct vt100 terminal;

/* Where arch_power_off() and arch_reboot() go, and which of them it was. */
extern jmp_buf the_end;
extern const char *how_it_ended;

int shell_rig_start(void **state); /* once a program: nothing of it is taken back */
int shell_rig_set_up(void **state);

/* Keys, as they come from the line to the control thread. */
void type(const char *text);
/* A command on an empty screen. */
void run(const char *line);
/* A row begins so. */
void expect(const char *row);
/* The command's whole answer is that, and nothing was done. */
void expect_refusal(const char *line, const char *row);
enum vm_state state_of(const char *name);

#endif
