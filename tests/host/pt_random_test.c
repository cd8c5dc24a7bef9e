/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: after any sequence of edits the tables say what a plain array of pages would say; at
 * every single store on the way, and through every table that hardware may still hold, each address
 * translates as before or as asked for; what fails has changed nothing; nothing leaks.
 */
#include "tests/host/fake/pt_rig.h"
#include "kernel/lib/errno.h"

#define MODEL_START (GIB(1) - MIB(3))
#define MODEL_PAGES 2560u /* 10 MiB around a 1 GiB boundary */

static struct translation model[MODEL_PAGES], model_before[MODEL_PAGES];

static uint64_t page_virt(unsigned page)
{
    return MODEL_START + page * PAGE_SIZE;
}

static void watch_a_few(void)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned page = (unsigned)rand() % MODEL_PAGES;
        struct translation t = hardware_walk(is_ept, pt.root, page_virt(page));

        assert_true(same(t, model[page]) || same(t, model_before[page]));
    }
}

static void compare_all(const struct translation *expected)
{
    for (unsigned page = 0; page < MODEL_PAGES; page++)
        assert_true(same(hardware_walk(is_ept, pt.root, page_virt(page)), expected[page]));
}

static bool model_has(unsigned page, unsigned count)
{
    for (unsigned i = page; i < page + count; i++)
        if (model[i].present)
            return true;
    return false;
}

enum edit { MAP, UNMAP, PROTECT, EDITS };

/* What the model says to the edit; model becomes what is to come. */
static int model_edit(enum edit edit, unsigned page, unsigned count, uint64_t hpa,
                      unsigned attributes)
{
    if (edit == MAP && model_has(page, count))
        return -EEXIST;
    for (unsigned i = 0; i < count; i++) {
        struct translation *t = &model[page + i];

        if (edit == MAP)
            *t = asked_for(hpa + i * PAGE_SIZE, attributes);
        else if (edit == UNMAP)
            t->present = false;
        else if (t->present)
            *t = asked_for(t->hpa, attributes);
    }
    return 0;
}

static int pt_edit(enum edit edit, unsigned page, unsigned count, uint64_t hpa, unsigned attributes)
{
    switch (edit) {
    case MAP:
        return pt_map(&pt, page_virt(page), HPA(hpa), count * PAGE_SIZE, attributes);
    case UNMAP:
        return pt_unmap(&pt, page_virt(page), count * PAGE_SIZE);
    default:
        return pt_protect(&pt, page_virt(page), count * PAGE_SIZE, attributes);
    }
}

static void nothing_present_changed(void)
{
    for (unsigned page = 0; page < MODEL_PAGES; page++)
        assert_true(!model_before[page].present || same(model_before[page], model[page]));
}

/* Half of the edits begin and end where large pages do. */
static void choose_range(unsigned *page, unsigned *count)
{
    *page = (unsigned)rand() % MODEL_PAGES;
    *count = 1 + (unsigned)rand() % (rand() % 2 ? 8 : MODEL_PAGES);
    if (rand() % 2) {
        *page = ALIGN_DOWN(*page, 256u);
        *count = ALIGN_UP(*count, 256u);
    }
    *count = MIN(*count, MODEL_PAGES - *page);
}

static void random_edit(void)
{
    static const unsigned attributes[] = {PT_READ, RW, RWX, RW | PT_UNCACHED};
    unsigned page, count, chosen = attributes[rand() % 4];
    enum edit edit = (enum edit)(rand() % EDITS);
    uint64_t hpa;
    int expected, result;

    choose_range(&page, &count);
    hpa = GIB(3) + page_virt(page) + (rand() % 4 ? 0 : KIB(4)); /* mostly fit for large pages */
    memcpy(model_before, model, sizeof model);
    expected = model_edit(edit, page, count, hpa, chosen);
    allocs_left = rand() % 3 ? NEVER : (unsigned)rand() % 4;
    after_store = watch_a_few;
    result = pt_edit(edit, page, count, hpa, chosen);
    after_store = NULL;
    assert_true(result == expected || (result == -ENOMEM && allocs_left == 0));
    if (result)
        memcpy(model, model_before, sizeof model);
    if (!pt.is_stale)
        nothing_present_changed();
    compare_all(model);
    if (rand() % 2)
        pt_flushed(&pt);
}

static void survives_a_random_life(void **state)
{
    (void)state;
    srand(3);
    memset(model, 0, sizeof model);
    for (unsigned round = 0; round < 1500; round++)
        random_edit();
    pt_flushed(&pt);
    assert_true(pt.table_pages <= 1 + 1 + 2 + 6);
    assert_int_equal(pages_at_start - free_pages(), pt.table_pages);
    allocs_left = NEVER;
    assert_int_equal(pt_unmap(&pt, MODEL_START, MODEL_PAGES * PAGE_SIZE), 0);
    pt_flushed(&pt);
    assert_int_equal(pt.table_pages, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(survives_a_random_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
