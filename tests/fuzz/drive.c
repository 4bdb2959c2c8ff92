/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/drive.c - run a fuzz target over changed seeds for a while.
 *
 *     fuzz_grammar               2 s; with POMONA_TEST_FULL=1 60 s
 *     fuzz_grammar 600 7         600 s, from seed 7
 *     fuzz_grammar -             one input, from standard input
 *
 * Inputs are tried in a child process.  What kills it, or keeps it busy for INPUT_MAX_S, is a
 * finding: the parent prints that input and fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "drive.h"

enum {
    SEED = 20261126,
    SECONDS = 2,
    SECONDS_FULL = 60,
    INPUT_MAX = 1 << 20,
    INPUT_MAX_S = 20,
};

/* Shared with the child. */
struct tried {
    size_t n_inputs, n;
    char bytes[INPUT_MAX];
};

static void try_one(struct tried *t, const char *bytes, size_t n)
{
    uint8_t *exact = malloc(n > 0 ? n : 1); /* so that one byte too far is seen */

    if (!exact)
        abort();
    if (n > 0) {
        memcpy(exact, bytes, n);
        memcpy(t->bytes, bytes, n);
    }
    t->n = n;
    alarm(INPUT_MAX_S);
    (void)LLVMFuzzerTestOneInput(exact, n);
    t->n_inputs++;
    free(exact);
}

static void try_many(struct tried *t, unsigned seconds, uint64_t seed)
{
    const uint64_t until_ns = deadline_after_ms(1000u * seconds);
    struct draws d = { seed };
    struct buf input = { 0 };

    for (size_t i = 0; i < fuzz_seeds.n; i++)
        try_one(t, fuzz_seeds.texts[i], strlen(fuzz_seeds.texts[i]));
    do {
        mutate(&fuzz_seeds, &d, &input);
        if (input.len <= INPUT_MAX)
            try_one(t, buf_text(&input), input.len);
    } while (clock_ns() < until_ns);
    buf_release(&input);
    alarm(0);
}

static int try_stdin(struct tried *t)
{
    char *bytes = malloc(INPUT_MAX);

    if (!bytes)
        return EXIT_FAILURE;
    try_one(t, bytes, fread(bytes, 1, INPUT_MAX, stdin));
    free(bytes);
    return EXIT_SUCCESS;
}

/* As printf(1) reads it. */
static void print_escaped(const struct tried *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const unsigned char c = (unsigned char)t->bytes[i];

        if (c >= ' ' && c < 0x7F && c != '\\' && c != '%' && c != '\'')
            fputc(c, stderr);
        else
            fprintf(stderr, "\\%03o", c);
    }
    fputc('\n', stderr);
}

static int watch(const struct tried *t, pid_t child)
{
    int status;

    if (child < 0 || waitpid(child, &status, 0) != child)
        return EXIT_FAILURE;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        printf("%zu inputs, nothing found\n", t->n_inputs);
        return EXIT_SUCCESS;
    }
    if (WIFSIGNALED(status))
        fprintf(stderr, "signal %d; ", WTERMSIG(status));
    fprintf(stderr, "after %zu inputs, with this one of %zu bytes:\n", t->n_inputs, t->n);
    print_escaped(t);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *full = getenv("POMONA_TEST_FULL");
    const unsigned seconds = argc > 1                         ? (unsigned)strtoul(argv[1], NULL, 10)
                             : full && strcmp(full, "1") == 0 ? SECONDS_FULL
                                                              : SECONDS;
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : SEED;
    struct tried *t =
        mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child;

    if (t == MAP_FAILED)
        return EXIT_FAILURE;
    if (argc > 1 && strcmp(argv[1], "-") == 0)
        return try_stdin(t);
    child = fork();
    if (child != 0)
        return watch(t, child);
    try_many(t, seconds, seed);
    return EXIT_SUCCESS;
}
