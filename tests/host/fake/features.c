/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/features.h"
#include "arch/x86/trap.h"

#define FEATURES_MAX 32u

static struct leaf {
    uint32_t index;
    struct cpuid_result result;
} leaves[FEATURES_MAX];
static unsigned leaf_count;

static struct msr {
    uint32_t index;
    bool is_there;
    uint64_t value;
} msrs[FEATURES_MAX];
static unsigned msr_count;

void fake_features_reset(void)
{
    leaf_count = msr_count = 0;
}

static struct leaf *find_leaf(uint32_t index)
{
    for (unsigned i = 0; i < leaf_count; i++)
        if (leaves[i].index == index)
            return &leaves[i];
    return NULL;
}

static struct msr *find_msr(uint32_t index)
{
    for (unsigned i = 0; i < msr_count; i++)
        if (msrs[i].index == index && msrs[i].is_there)
            return &msrs[i];
    return NULL;
}

struct cpuid_result *fake_features_leaf(uint32_t index)
{
    struct leaf *leaf = find_leaf(index);

    if (!leaf) {
        assert_true(leaf_count < FEATURES_MAX);
        leaf = &leaves[leaf_count++];
        *leaf = (struct leaf){.index = index};
    }
    return &leaf->result;
}

uint64_t *fake_features_msr(uint32_t index)
{
    struct msr *msr = find_msr(index);

    if (!msr) {
        assert_true(msr_count < FEATURES_MAX);
        msr = &msrs[msr_count++];
        *msr = (struct msr){.index = index, .is_there = true};
    }
    return &msr->value;
}

void fake_features_remove_msr(uint32_t index)
{
    struct msr *msr = find_msr(index);

    if (msr)
        msr->is_there = false;
}

/* --- what the source under test calls --- */

struct cpuid_result fake_features_cpuid(uint32_t index)
{
    const struct leaf *leaf = find_leaf(index);

    return leaf ? leaf->result : (struct cpuid_result){0};
}

bool trap_rdmsr(uint32_t index, uint64_t *value)
{
    const struct msr *msr = find_msr(index);

    if (msr)
        *value = msr->value;
    return msr != NULL;
}

bool trap_wrmsr(uint32_t index, uint64_t value)
{
    struct msr *msr = find_msr(index);

    if (msr)
        msr->value = value;
    return msr != NULL;
}

uint64_t fake_features_rdmsr(uint32_t index)
{
    uint64_t value = 0;

    if (!trap_rdmsr(index, &value))
        fail_msg("RDMSR of %#x, which this CPU has not", index);
    return value;
}

void fake_features_wrmsr(uint32_t index, uint64_t value)
{
    struct msr *msr = find_msr(index);

    if (!msr)
        fail_msg("WRMSR of %#x, which is not there", index);
    msr->value = value;
}
