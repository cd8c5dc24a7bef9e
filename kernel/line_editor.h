/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line that is being typed: keys in, the row that shows it out. Emacs's keys, a history, completion by Tab.
 * Pure: what completes and where the row is drawn are its owner's business. Invariant: the line is printable
 * ASCII, ends with NUL, and the cursor is in it or just behind it, whatever bytes come.
 */
#ifndef KERNEL_LINE_EDITOR_H
#define KERNEL_LINE_EDITOR_H

#include "kernel/console_prompt.h"
#include "kernel/lib/types.h"

#define LINE_EDITOR_BYTES       1024u /* of a line, with its NUL */
#define LINE_EDITOR_HISTORY     32u
#define LINE_EDITOR_CANDIDATES  64u
#define LINE_EDITOR_WORD_BYTES  32u
#define LINE_EDITOR_PROMPT_MAX  16u

/* What may stand at the cursor in the place of a word. */
struct line_candidates {
    size_t start; /* of the word, in the line; it ends at the cursor */
    unsigned count;
    char words[LINE_EDITOR_CANDIDATES][LINE_EDITOR_WORD_BYTES];
};

/* Adds the word if it begins with prefix and fits. */
void line_candidates_offer(struct line_candidates *c, const char *prefix, const char *word);

/* The line up to the cursor in, candidates out. */
typedef void line_complete_fn(const char *line, struct line_candidates *candidates);

enum line_event {
    LINE_EDITED,    /* the row may have changed */
    LINE_DONE,      /* line_editor_line() is it; line_editor_next() then starts a new one */
    LINE_CANCELLED, /* Ctrl-C: nobody wants it; line_editor_drop() */
    LINE_CHOICES,   /* candidates has what could stand there, for the user to see */
    LINE_CLEARED,   /* Ctrl-L: the screen should be */
};

struct line_editor {
    const char *prompt;
    line_complete_fn *complete;
    char line[LINE_EDITOR_BYTES];
    size_t length, cursor;
    size_t scroll; /* the first character that the row shows */
    char draft[LINE_EDITOR_BYTES]; /* what was typed before the history was looked at */
    char history[LINE_EDITOR_HISTORY][LINE_EDITOR_BYTES]; /* oldest first */
    unsigned history_count;
    unsigned history_at;  /* which one is shown; history_count: none */
    unsigned key_state;   /* in an escape sequence */
    unsigned key_number;
    bool after_return;
    struct line_candidates candidates;
};

/* Too large for a stack. prompt: up to LINE_EDITOR_PROMPT_MAX characters; it lives on. complete may be NULL. */
void line_editor_init(struct line_editor *e, const char *prompt, line_complete_fn *complete);

enum line_event line_editor_key(struct line_editor *e, uint8_t byte);
const char *line_editor_line(const struct line_editor *e);
/* An empty line; of next, the one before goes into the history unless it is blank. */
void line_editor_next(struct line_editor *e);
void line_editor_drop(struct line_editor *e);

/* The row: the prompt, and as much of the line as fits around the cursor. */
void line_editor_row(struct line_editor *e, struct console_prompt *row);

#endif
