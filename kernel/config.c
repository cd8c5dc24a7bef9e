/* SPDX-License-Identifier: BSD-2-Clause */
/* The grammar's tokenizer; see config.h. Values and tables are in config_value.c. */
#include "kernel/config.h"
#include "kernel/lib/errno.h"

/* Where the characters of a token go: into the key up to the first '=', then into the value. */
struct token {
    struct config_pair *pair;
    size_t length; /* of the part that is being written */
    bool has_value;
    int result;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static void put(struct token *token, char c)
{
    char *part = token->has_value ? token->pair->value : token->pair->key;
    size_t size = token->has_value ? CONFIG_VALUE_BYTES : CONFIG_KEY_BYTES;

    if (!token->has_value && c == '=') {
        token->has_value = true;
        token->length = 0;
    } else if (token->length + 1 < size) {
        part[token->length++] = c;
        part[token->length] = '\0';
    } else {
        token->result = -E2BIG;
    }
}

/* At a backslash; it stays where it escapes nothing: in \xHH and at the line's end. */
static const char *read_escape(struct token *token, const char *at)
{
    bool is_kept = at[1] == '\0' || (at[1] == 'x' && is_hex(at[2]) && is_hex(at[3]));

    if (!is_kept)
        at++;
    put(token, *at);
    return at + 1;
}

static const char *read_token(struct token *token, const char *at)
{
    char quote = '\0';

    while (*at != '\0' && (quote || !is_blank(*at))) {
        if (*at == '\\') {
            at = read_escape(token, at);
        } else if (*at == quote) {
            quote = '\0';
            at++;
        } else if (!quote && (*at == '"' || *at == '\'')) {
            quote = *at++;
        } else {
            put(token, *at++);
        }
    }
    if (quote)
        token->result = -EINVAL;
    return at;
}

int config_next(struct config_cursor *cursor, struct config_pair *pair)
{
    struct token token = {.pair = pair, .result = 1};

    pair->key[0] = pair->value[0] = '\0';
    while (is_blank(*cursor->at))
        cursor->at++;
    if (*cursor->at == '\0')
        return 0;
    cursor->at = read_token(&token, cursor->at);
    if (token.result > 0 && pair->key[0] == '\0')
        token.result = -EINVAL;
    if (!token.has_value) {
        pair->value[0] = '1';
        pair->value[1] = '\0';
    }
    return token.result;
}
