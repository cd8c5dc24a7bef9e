/* SPDX-License-Identifier: BSD-2-Clause */
/* See vm_config_item.h. */
#include "kernel/vm_config_item.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

/* "switch=lan0" is as good as "lan0". False: it is too long. */
static bool make_line(const char *first, const char *value, char line[CONFIG_VALUE_BYTES])
{
    const char *comma = strchr(value, ','), *equals = strchr(value, '=');
    bool has_key = equals && (!comma || equals < comma);
    size_t length = has_key ? 0 : strlen(first) + 1;

    if (length + strlen(value) >= CONFIG_VALUE_BYTES)
        return false;
    format_text(line, CONFIG_VALUE_BYTES, "%s%s%s", has_key ? "" : first, has_key ? "" : "=", value);
    for (char *c = line; *c; c++)
        if (*c == ',')
            *c = ' ';
    return true;
}

static int read_pairs(const struct vm_config_item *item, const char *line, void *object, struct config_error *error)
{
    struct config_cursor cursor = config_open(line);
    struct config_pair pair;
    int result;

    while ((result = config_next(&cursor, &pair)) > 0) {
        const struct config_key *key = config_find(&item->table, pair.key);

        if (!key) {
            config_explain(error, "%s: %s: no such key", item->key, pair.key);
            return -EINVAL;
        }
        result = config_store(key, object, &pair, error);
        if (result < 0)
            return result;
    }
    if (result < 0)
        config_explain_token(error, &pair, result);
    return result;
}

int vm_config_read_item(const struct vm_config_item *item, const char *value, void *object, struct config_error *error)
{
    char line[CONFIG_VALUE_BYTES];

    if (make_line(item->first, value, line))
        return read_pairs(item, line, object, error);
    config_explain(error, "%s: too long", item->key);
    return -EINVAL;
}
