/* SPDX-License-Identifier: Apache-2.0 */
/* base/machine.c - cores, memory and CPU features of this machine. */
#include "base/machine.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>
#else
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

static const struct {
    uint32_t bit;
    const char *name;
} feature_names[] = {
    { CPU_AVX2, "avx2" },
    { CPU_AVX_VNNI, "avx-vnni" },
    { CPU_AVX512, "avx512" },
    { CPU_AVX512_VNNI, "avx512-vnni" },
    { CPU_AVX512_VBMI, "avx512-vbmi" },
    { CPU_AVX512_BF16, "avx512-bf16" },
    { CPU_AMX_INT8, "amx-int8" },
    { CPU_NEON, "neon" },
    { CPU_NEON_DOTPROD, "neon-dotprod" },
    { CPU_NEON_I8MM, "neon-i8mm" },
};

/* FNV-1a (Fowler, Noll, Vo); never 0. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash ? hash : 1;
}

const char *machine_cpu_feature_name(uint32_t bit)
{
    for (size_t i = 0; i < ARRAY_LEN(feature_names); i++)
        if (feature_names[i].bit == bit)
            return feature_names[i].name;
    return NULL;
}

#if defined(__x86_64__)

/* XCR0 bits: which register state the operating system saves (Intel SDM
 * volume 1, section 13.3). */
enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xe6, XCR0_AMX = 0x60000 };

static uint64_t read_xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static uint32_t bit_of(uint32_t reg, unsigned bit)
{
    return reg >> bit & 1u;
}

#if defined(__linux__)

/* A first tile instruction without this ends the process, whatever CPUID lists.  Threads that
 * are there already gain it too.  Numbers: Linux, Documentation/arch/x86/xstate.rst. */
static bool may_use_tiles(void)
{
    enum { ARCH_GET_XCOMP_PERM = 0x1022, ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    uint64_t permitted = 0;

    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 &&
           syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &permitted) == 0 &&
           (permitted >> XFEATURE_XTILEDATA & 1) != 0;
}

#else

static bool may_use_tiles(void)
{
    return false;
}

#endif

/* Leaf and bit numbers: Intel SDM volume 2, CPUID, leaves 1 and 7. */
uint32_t machine_cpu_features(void)
{
    uint32_t a, b, c, d, features = 0;
    uint32_t b7, c7, d7, a71;
    uint64_t xcr0;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !bit_of(c, 27)) /* OSXSAVE */
        return 0;
    const uint32_t leaf1_c = c;
    xcr0 = read_xcr0();
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7))
        return 0;
    if (!__get_cpuid_count(7, 1, &a71, &b, &c, &d))
        a71 = 0;

    if ((xcr0 & XCR0_AVX) != XCR0_AVX)
        return 0;
    if (bit_of(b7, 5) && bit_of(leaf1_c, 12) && bit_of(leaf1_c, 29)) /* AVX2, FMA, F16C */
        features |= CPU_AVX2;
    if (bit_of(a71, 4))
        features |= CPU_AVX_VNNI;
    if ((xcr0 & XCR0_AVX512) == XCR0_AVX512 && bit_of(b7, 16) && bit_of(b7, 17) && bit_of(b7, 30) &&
        bit_of(b7, 31)) {
        features |= CPU_AVX512;
        if (bit_of(c7, 11))
            features |= CPU_AVX512_VNNI;
        if (bit_of(c7, 1))
            features |= CPU_AVX512_VBMI;
        if (bit_of(a71, 5))
            features |= CPU_AVX512_BF16;
    }
    if ((xcr0 & XCR0_AMX) == XCR0_AMX && bit_of(d7, 24) && bit_of(d7, 25) && may_use_tiles())
        features |= CPU_AMX_INT8;
    return features;
}

#elif defined(__aarch64__) && defined(__APPLE__)

static int sysctl_flag(const char *name)
{
    int value = 0;
    size_t size = sizeof(value);

    return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value != 0;
}

uint32_t machine_cpu_features(void)
{
    uint32_t features = CPU_NEON;

    if (sysctl_flag("hw.optional.arm.FEAT_DotProd"))
        features |= CPU_NEON_DOTPROD;
    if (sysctl_flag("hw.optional.arm.FEAT_I8MM"))
        features |= CPU_NEON_I8MM;
    return features;
}

#elif defined(__aarch64__)

/* Bits of AT_HWCAP and AT_HWCAP2: Linux, arch/arm64/include/uapi/asm/hwcap.h. */
uint32_t machine_cpu_features(void)
{
    uint32_t features = CPU_NEON;

    if (getauxval(AT_HWCAP) >> 20 & 1)
        features |= CPU_NEON_DOTPROD;
    if (getauxval(AT_HWCAP2) >> 13 & 1)
        features |= CPU_NEON_I8MM;
    return features;
}

#else

uint32_t machine_cpu_features(void)
{
    return 0;
}

#endif

unsigned machine_n_cores(void)
{
#if defined(__APPLE__)
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
#else
    cpu_set_t set;
    long n = 0;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
#endif
    return n < 1 ? 1 : (unsigned)n;
}

unsigned machine_n_fast_cores(void)
{
    unsigned n = machine_n_cores();
#if defined(__APPLE__)
    int32_t fast = 0; /* level 0 is the fastest: sysctl(3) of macOS, hw.perflevel0 */
    size_t size = sizeof(fast);

    if (sysctlbyname("hw.perflevel0.logicalcpu", &fast, &size, NULL, 0) == 0 && fast > 0 &&
        (unsigned)fast < n)
        n = (unsigned)fast;
#endif
    return n;
}

#if defined(__APPLE__)

uint64_t machine_memory_bytes(void)
{
    uint64_t bytes = 0;
    size_t size = sizeof(bytes);

    (void)sysctlbyname("hw.memsize", &bytes, &size, NULL, 0);
    return bytes;
}

size_t machine_cache_bytes(void)
{
    uint64_t bytes = 0;
    size_t size = sizeof(bytes);

    if (sysctlbyname("hw.l3cachesize", &bytes, &size, NULL, 0) != 0)
        (void)sysctlbyname("hw.l2cachesize", &bytes, &size, NULL, 0);
    return (size_t)bytes;
}

uint64_t machine_id(void)
{
    char text[64] = "";
    size_t n = sizeof(text);

    return sysctlbyname("kern.bootsessionuuid", text, &n, NULL, 0) == 0 ? hash_of(text) : 0;
}

void machine_cpu_name(char *ret_name, size_t capacity)
{
    if (sysctlbyname("machdep.cpu.brand_string", ret_name, &capacity, NULL, 0) != 0)
        ret_name[0] = '\0';
}

#else

static uint64_t read_number(const char *path)
{
    FILE *f = fopen(path, "re");
    unsigned long long n = 0;

    if (!f)
        return 0;
    if (fscanf(f, "%llu", &n) != 1)
        n = 0; /* cgroup files say "max" where there is no bound */
    fclose(f);
    return n;
}

uint64_t machine_memory_bytes(void)
{
    const uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t bound = read_number("/sys/fs/cgroup/memory.max");

    return bound > 0 && bound < machine ? bound : machine;
}

size_t machine_cache_bytes(void)
{
#if defined(_SC_LEVEL3_CACHE_SIZE)
    const long level3 = sysconf(_SC_LEVEL3_CACHE_SIZE), level2 = sysconf(_SC_LEVEL2_CACHE_SIZE);

    return (size_t)(level3 > 0 ? level3 : level2 > 0 ? level2 : 0);
#else
    return 0;
#endif
}

uint64_t machine_id(void)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    char text[64] = "";
    const bool is_read = f && fgets(text, sizeof(text), f);

    if (f)
        fclose(f);
    return is_read ? hash_of(text) : 0;
}

void machine_cpu_name(char *ret_name, size_t capacity)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");

    snprintf(ret_name, capacity, "unknown CPU");
    while (f && fgets(line, sizeof(line), f)) {
        char *value = strchr(line, ':');

        if (strncmp(line, "model name", 10) != 0 || !value)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(ret_name, capacity, "%s", value + 2);
        break;
    }
    if (f)
        fclose(f);
}

#endif
