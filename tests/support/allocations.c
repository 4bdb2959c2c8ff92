/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/allocations.c - counting, failing allocator in front of the real one.
 *
 * Works under the sanitizers, whose allocator is then the real one.
 */
#include "support/allocations.h"

#if defined(__APPLE__)

#include <malloc/malloc.h>

void allocations_reset(void)
{
}

size_t allocations_peak_bytes(void)
{
    malloc_statistics_t statistics;

    malloc_zone_statistics(NULL, &statistics);
    return statistics.max_size_in_use;
}

#else

#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>

/* Names the linker's --wrap prescribes. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void __real_free(void *old);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);
void __wrap_free(void *old);

static atomic_llong in_use, peak;
static atomic_size_t until_failure; /* 0: none is to fail */
static atomic_bool has_failed;

static bool must_fail(void)
{
    size_t left = atomic_load(&until_failure);

    while (left > 0 && !atomic_compare_exchange_weak(&until_failure, &left, left - 1))
        ;
    if (left == 1)
        atomic_store(&has_failed, true);
    return left == 1;
}

static void asked(size_t n)
{
    const long long now = atomic_load(&in_use) + (n > INT64_MAX / 2 ? INT64_MAX / 2 : (long long)n);
    long long seen = atomic_load(&peak);

    while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now))
        ;
}

static void *counted(void *fresh)
{
    if (fresh)
        atomic_fetch_add(&in_use, (long long)malloc_usable_size(fresh));
    return fresh;
}

void *__wrap_malloc(size_t n)
{
    asked(n);
    return must_fail() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
    asked(size && n > SIZE_MAX / size ? SIZE_MAX : n * size);
    return must_fail() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t n)
{
    const size_t before = old ? malloc_usable_size(old) : 0;
    void *fresh;

    asked(n);
    if (must_fail())
        return NULL;
    fresh = __real_realloc(old, n);
    if (fresh || n == 0)
        atomic_fetch_sub(&in_use, (long long)before);
    return counted(fresh);
}

void __wrap_free(void *old)
{
    if (old)
        atomic_fetch_sub(&in_use, (long long)malloc_usable_size(old));
    __real_free(old);
}

void allocations_reset(void)
{
    atomic_store(&in_use, 0);
    atomic_store(&peak, 0);
}

size_t allocations_peak_bytes(void)
{
    return (size_t)atomic_load(&peak);
}

void allocations_fail_at(size_t k)
{
    atomic_store(&has_failed, false);
    atomic_store(&until_failure, k);
}

bool allocations_failed(void)
{
    return atomic_load(&has_failed);
}

#endif
