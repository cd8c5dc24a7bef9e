/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/console_rig.h"
#include "kernel/lib/errno.h"

char screen[8192];
size_t screen_length;
struct typist web, db;
char lines[MUTE + 1][CONSOLE_LINE_BYTES];

static void show(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    assert_true(fake_irqs_off > 0);
    assert_true(screen_length + count < sizeof screen);
    memcpy(screen + screen_length, bytes, count);
    screen_length += count;
    screen[screen_length] = '\0';
}

void receive_typed(void *context, const uint8_t *bytes, size_t count)
{
    struct typist *t = context;

    assert_int_equal(fake_irqs_off, 0); /* a device works in there */
    assert_true(t->count + count < sizeof t->typed);
    memcpy(t->typed + t->count, bytes, count);
    t->count += count;
    t->typed[t->count] = '\0';
}

int console_rig_start(void **state)
{
    const struct chardev sink = {show, NULL};
    struct console_guest guest = {
        .name = "web", .typed = &web.queue, .receive = receive_typed, .context = &web, .line = lines[WEB]};

    (void)state;
    console_add_sink(&sink);
    console_expect_guest("web");
    console_expect_guest("db");
    assert_int_equal(console_find_guest("db"), -ENOENT);
    assert_int_equal(console_add_guest(&guest), WEB);
    say(WEB, "half a line"); /* db is to come: web is not the only one */
    assert_int_equal(screen_length, 0);
    guest = (struct console_guest){.name = "db", .typed = &db.queue, .receive = receive_typed, .context = &db, .line = lines[DB]};
    assert_int_equal(console_add_guest(&guest), DB);
    guest = (struct console_guest){.name = "mute", .line = lines[MUTE]};
    assert_int_equal(console_add_guest(&guest), MUTE);
    return 0;
}

int console_rig_set_up(void **state)
{
    uint8_t bytes[CONSOLE_TYPED_BYTES];

    (void)state;
    console_take_shell_input(bytes, sizeof bytes);
    console_end_prompt();
    console_attach(0);
    log_text("\r\n");
    screen_length = 0;
    screen[0] = '\0';
    web = db = (struct typist){.count = 0};
    return 0;
}
