/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See line_editor.h. Each key is a row of one of two tables: control characters, and what a terminal sends for
 * the keys that have none (ECMA-48, "Control sequences"; xterm, "PC-Style Function Keys").
 */
#include "kernel/line_editor.h"
#include "kernel/lib/string.h"

#define CTRL(letter) ((letter) & 0x1f)
#define ESCAPE 0x1b
#define DELETE 0x7f
#define KEY_NUMBER_MAX 999u

enum key_state { KEY_PLAIN, KEY_ESCAPE, KEY_SEQUENCE, KEY_SINGLE_SHIFT };

/* --- the line --- */

static void erase(struct line_editor *e, size_t from, size_t to)
{
    memmove(e->line + from, e->line + to, e->length + 1 - to);
    e->length -= to - from;
    e->cursor = from;
}

/* What does not fit is not typed. */
static void insert(struct line_editor *e, const char *text, size_t count)
{
    if (count >= sizeof e->line - e->length)
        return;
    memmove(e->line + e->cursor + count, e->line + e->cursor, e->length + 1 - e->cursor);
    memcpy(e->line + e->cursor, text, count);
    e->length += count;
    e->cursor += count;
}

static void replace(struct line_editor *e, const char *text)
{
    e->length = e->cursor = strlen(text);
    memmove(e->line, text, e->length + 1);
}

static size_t word_start(const struct line_editor *e)
{
    size_t at = e->cursor;

    while (at > 0 && e->line[at - 1] == ' ')
        at--;
    while (at > 0 && e->line[at - 1] != ' ')
        at--;
    return at;
}

static size_t word_end(const struct line_editor *e)
{
    size_t at = e->cursor;

    while (at < e->length && e->line[at] == ' ')
        at++;
    while (at < e->length && e->line[at] != ' ')
        at++;
    return at;
}

/* --- history --- */

static void show_history(struct line_editor *e, unsigned at)
{
    if (e->history_at == e->history_count)
        memcpy(e->draft, e->line, e->length + 1);
    e->history_at = at;
    replace(e, at == e->history_count ? e->draft : e->history[at]);
}

static void forget(struct line_editor *e, unsigned at)
{
    e->history_count--;
    memmove(e->history[at], e->history[at + 1], (e->history_count - at) * sizeof e->history[0]);
}

static void remember(struct line_editor *e)
{
    for (unsigned i = 0; i < e->history_count; i++)
        if (strcmp(e->history[i], e->line) == 0)
            forget(e, i);
    if (e->history_count == LINE_EDITOR_HISTORY)
        forget(e, 0);
    memcpy(e->history[e->history_count++], e->line, e->length + 1);
}

static bool is_blank(const char *line)
{
    while (*line == ' ')
        line++;
    return *line == '\0';
}

/* --- completion --- */

void line_candidates_offer(struct line_candidates *c, const char *prefix, const char *word)
{
    size_t length = strlen(word);

    if (c->count == LINE_EDITOR_CANDIDATES || length >= LINE_EDITOR_WORD_BYTES || strncmp(word, prefix, strlen(prefix)) != 0)
        return;
    memcpy(c->words[c->count++], word, length + 1);
}

static size_t common_length(const struct line_candidates *c)
{
    size_t length = strlen(c->words[0]);

    for (unsigned i = 1; i < c->count; i++)
        for (size_t at = 0; at < length; at++)
            if (c->words[i][at] != c->words[0][at])
                length = at;
    return length;
}

/* A word that is complete gets a blank, but one that a value follows. */
static bool wants_blank(const struct line_candidates *c, size_t length)
{
    return c->count == 1 && length > 0 && c->words[0][length - 1] != '=';
}

static enum line_event complete(struct line_editor *e)
{
    struct line_candidates *c = &e->candidates;
    char before[LINE_EDITOR_BYTES];
    size_t typed, common;

    if (!e->complete)
        return LINE_EDITED;
    memcpy(before, e->line, e->cursor);
    before[e->cursor] = '\0';
    c->count = 0;
    c->start = e->cursor;
    e->complete(before, c);
    if (c->count == 0 || c->start > e->cursor)
        return LINE_EDITED;
    typed = e->cursor - c->start;
    common = common_length(c);
    if (common > typed)
        insert(e, c->words[0] + typed, common - typed);
    if (wants_blank(c, common))
        insert(e, " ", 1);
    return c->count > 1 && common <= typed ? LINE_CHOICES : LINE_EDITED;
}

/* --- keys --- */

static enum line_event go_left(struct line_editor *e)
{
    e->cursor -= e->cursor > 0;
    return LINE_EDITED;
}

static enum line_event go_right(struct line_editor *e)
{
    e->cursor += e->cursor < e->length;
    return LINE_EDITED;
}

static enum line_event go_home(struct line_editor *e)
{
    e->cursor = 0;
    return LINE_EDITED;
}

static enum line_event go_end(struct line_editor *e)
{
    e->cursor = e->length;
    return LINE_EDITED;
}

static enum line_event go_word_left(struct line_editor *e)
{
    e->cursor = word_start(e);
    return LINE_EDITED;
}

static enum line_event go_word_right(struct line_editor *e)
{
    e->cursor = word_end(e);
    return LINE_EDITED;
}

static enum line_event go_up(struct line_editor *e)
{
    if (e->history_at > 0)
        show_history(e, e->history_at - 1);
    return LINE_EDITED;
}

static enum line_event go_down(struct line_editor *e)
{
    if (e->history_at < e->history_count)
        show_history(e, e->history_at + 1);
    return LINE_EDITED;
}

static enum line_event backspace(struct line_editor *e)
{
    if (e->cursor > 0)
        erase(e, e->cursor - 1, e->cursor);
    return LINE_EDITED;
}

static enum line_event delete(struct line_editor *e)
{
    if (e->cursor < e->length)
        erase(e, e->cursor, e->cursor + 1);
    return LINE_EDITED;
}

static enum line_event kill_to_start(struct line_editor *e)
{
    erase(e, 0, e->cursor);
    return LINE_EDITED;
}

static enum line_event kill_to_end(struct line_editor *e)
{
    erase(e, e->cursor, e->length);
    return LINE_EDITED;
}

static enum line_event kill_word(struct line_editor *e)
{
    erase(e, word_start(e), e->cursor);
    return LINE_EDITED;
}

static enum line_event kill_next_word(struct line_editor *e)
{
    erase(e, e->cursor, word_end(e));
    return LINE_EDITED;
}

static enum line_event finish(struct line_editor *e)
{
    e->cursor = e->length;
    return LINE_DONE;
}

static enum line_event cancel(struct line_editor *e)
{
    e->cursor = e->length;
    return LINE_CANCELLED;
}

static enum line_event clear(struct line_editor *e)
{
    (void)e;
    return LINE_CLEARED;
}

typedef enum line_event key_fn(struct line_editor *e);

static key_fn *const control_keys[] = {
    [CTRL('A')] = go_home,      [CTRL('B')] = go_left,   [CTRL('C')] = cancel,        [CTRL('D')] = delete,
    [CTRL('E')] = go_end,       [CTRL('F')] = go_right,  [CTRL('H')] = backspace,     [CTRL('I')] = complete,
    [CTRL('J')] = finish,       [CTRL('K')] = kill_to_end, [CTRL('L')] = clear,       [CTRL('M')] = finish,
    [CTRL('N')] = go_down,      [CTRL('P')] = go_up,     [CTRL('U')] = kill_to_start, [CTRL('W')] = kill_word,
};

/* What ends a sequence, and the number in it where there is a choice. */
static const struct {
    uint8_t last;
    unsigned number; /* 0: any */
    key_fn *act;
} sequence_keys[] = {
    {'A', 0, go_up},   {'B', 0, go_down}, {'C', 5, go_word_right}, {'D', 5, go_word_left}, {'C', 0, go_right},
    {'D', 0, go_left}, {'H', 0, go_home}, {'F', 0, go_end},        {'~', 1, go_home},      {'~', 7, go_home},
    {'~', 4, go_end},  {'~', 8, go_end},  {'~', 3, delete},
};

static const struct {
    uint8_t key;
    key_fn *act;
} escape_keys[] = {
    {'b', go_word_left}, {'f', go_word_right}, {'d', kill_next_word}, {DELETE, kill_word}, {'\b', kill_word},
};

static enum line_event after_escape(struct line_editor *e, uint8_t byte)
{
    e->key_number = 0;
    e->key_state = byte == '[' ? KEY_SEQUENCE : byte == 'O' ? KEY_SINGLE_SHIFT : KEY_PLAIN;
    for (unsigned i = 0; i < ARRAY_SIZE(escape_keys); i++)
        if (escape_keys[i].key == byte)
            return escape_keys[i].act(e);
    return LINE_EDITED;
}

/* Of several numbers the last counts: it is the modifier (5: Ctrl) where there are two. */
static enum line_event in_sequence(struct line_editor *e, uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        e->key_number = MIN(10 * e->key_number + (byte - '0'), KEY_NUMBER_MAX);
        return LINE_EDITED;
    }
    if (byte < '@' || byte > '~') {
        e->key_number = 0;
        return LINE_EDITED;
    }
    e->key_state = KEY_PLAIN;
    for (unsigned i = 0; i < ARRAY_SIZE(sequence_keys); i++)
        if (sequence_keys[i].last == byte && (sequence_keys[i].number == 0 || sequence_keys[i].number == e->key_number))
            return sequence_keys[i].act(e);
    return LINE_EDITED;
}

static enum line_event plain(struct line_editor *e, uint8_t byte)
{
    char c = (char)byte;

    if (byte == DELETE)
        return backspace(e);
    if (byte < ARRAY_SIZE(control_keys) && control_keys[byte])
        return control_keys[byte](e);
    if (byte >= ' ' && byte < DELETE)
        insert(e, &c, 1);
    return LINE_EDITED;
}

/* CR LF is one key; a control character ends a sequence that was never finished. */
enum line_event line_editor_key(struct line_editor *e, uint8_t byte)
{
    bool is_second_half = byte == '\n' && e->after_return;

    e->after_return = byte == '\r';
    if (is_second_half)
        return LINE_EDITED;
    if (byte == ESCAPE) {
        e->key_state = KEY_ESCAPE;
        return LINE_EDITED;
    }
    if (e->key_state == KEY_ESCAPE)
        return after_escape(e, byte);
    if (e->key_state != KEY_PLAIN && byte >= ' ')
        return in_sequence(e, byte);
    e->key_state = KEY_PLAIN;
    return plain(e, byte);
}

/* --- the interface --- */

void line_editor_init(struct line_editor *e, const char *prompt, line_complete_fn *complete_line)
{
    memset(e, 0, sizeof *e);
    e->prompt = prompt;
    e->complete = complete_line;
}

const char *line_editor_line(const struct line_editor *e)
{
    return e->line;
}

void line_editor_drop(struct line_editor *e)
{
    replace(e, "");
    e->history_at = e->history_count;
}

void line_editor_next(struct line_editor *e)
{
    if (!is_blank(e->line))
        remember(e);
    line_editor_drop(e);
}

/* The view moves in steps of half a row, so that typing does not redraw it with every key. */
static void scroll_to_cursor(struct line_editor *e, size_t width)
{
    if (e->length <= width)
        e->scroll = 0;
    while (e->cursor < e->scroll)
        e->scroll -= MIN(e->scroll, width / 2);
    while (e->cursor > e->scroll + width)
        e->scroll += width / 2;
}

void line_editor_row(struct line_editor *e, struct console_prompt *row)
{
    size_t prompt_length = strnlen(e->prompt, LINE_EDITOR_PROMPT_MAX), width = CONSOLE_PROMPT_BYTES - prompt_length, shown;

    scroll_to_cursor(e, width);
    shown = MIN(e->length - MIN(e->scroll, e->length), width);
    memcpy(row->text, e->prompt, prompt_length);
    memcpy(row->text + prompt_length, e->line + e->scroll, shown);
    row->length = prompt_length + shown;
    row->cursor = prompt_length + e->cursor - e->scroll;
}
