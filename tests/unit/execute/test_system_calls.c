/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_system_calls.c - while tokens are computed, nothing is asked of the system
 * but what the engine's workers need to wait for each other.
 *
 * A child warms up, then forbids itself every system call but those, on all its threads, and goes
 * on decoding: the first other call is recorded and ends it.  That it is noticed is a test of its own.
 *
 * Source  seccomp(2) and its SECCOMP_RET_TRAP; no privilege is needed
 */
#include "support/check.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/size.h"
#include "execute/local.h"
#include "model/model.h"
#include "support/company.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

enum { WARM_UP = 4, STEPS = 40, N_STREAMS = 3, CONTEXT = 96 };

enum { CALLED_NOTHING = -1, NOT_FINISHED = -2 };

/* Written by the child, read by the parent. */
struct verdict {
    volatile int call; /* number of the first forbidden call */
    volatile int n_tokens;
};

static struct verdict *verdict;

static void on_forbidden_call(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)context;
    verdict->call = info->si_syscall;
    _exit(1);
}

#define ALLOW(number)                                                                              \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                           \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static bool forbid_system_calls(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_futex), /* workers that sleep, and who wakes them */
        ALLOW(SYS_sched_yield),
        ALLOW(SYS_clock_gettime), /* made on machines where the library cannot read the clock */
        ALLOW(SYS_exit_group),    /* the end of the test */
        ALLOW(SYS_rt_sigreturn),
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        ALLOW(SYS_mmap), /* of the sanitizers */
        ALLOW(SYS_munmap),
        ALLOW(SYS_madvise),
        ALLOW(SYS_rt_sigprocmask),
        ALLOW(SYS_nanosleep),
        ALLOW(SYS_clock_nanosleep),
        ALLOW(SYS_gettimeofday),
        ALLOW(SYS_getpid),
        ALLOW(SYS_gettid),
        ALLOW(SYS_sigaltstack),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    const struct sock_fprog program = { ARRAY_LEN(filter), filter };
    const struct sigaction action = { .sa_sigaction = on_forbidden_call, .sa_flags = SA_SIGINFO };

    return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    (void)arg;
    (void)event;
    (void)failure;
    verdict->n_tokens++;
}

static bool submit_all(struct driver *driver)
{
    static const int32_t prompt[12] = { 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51 };
    static const int32_t stop = 300;
    enum status s = ST_OK;

    for (uint32_t i = 0; s == ST_OK && i < N_STREAMS; i++) {
        struct generation g = { .prompt = prompt,
                                .n_prompt = 12 - i,
                                .max_tokens = CONTEXT,
                                .min_tokens = CONTEXT,
                                .stop_tokens = &stop,
                                .n_stop_tokens = 1 };
        uint64_t id;

        g.sampling = company_sampling(i);
        s = driver_submit(driver, &g, i, on_token, NULL, &id, NULL);
    }
    return s == ST_OK;
}

static bool steps(struct driver *driver, int n)
{
    enum status s = ST_OK;

    for (int i = 0; s == ST_OK && i < n; i++)
        s = driver_step(driver, NULL);
    return s == ST_OK;
}

/* The child: no assertion of the framework's, whose failures do not leave it. */
static bool decode(struct model *model, bool also_calls)
{
    const struct local_options options = { .context_tokens = CONTEXT,
                                           .n_threads = 2,
                                           .max_sequences = N_STREAMS };
    struct local *local;

    if (local_open(model, &options, &local, NULL) != ST_OK || !submit_all(local_driver(local)) ||
        !steps(local_driver(local), WARM_UP) || !forbid_system_calls())
        return false;
    if (also_calls)
        (void)getppid();
    return steps(local_driver(local), STEPS);
}

/* Decode in a child, and tell what call it made that it should not. */
static struct verdict verdict_of_child(struct model *model, bool also_calls)
{
    struct verdict result;
    int status;
    pid_t child;

    *verdict = (struct verdict){ .call = NOT_FINISHED };
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (decode(model, also_calls))
            verdict->call = CALLED_NOTHING;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    result = *verdict;
    return result;
}

static struct folder folder;

static int set_up(void **state)
{
    struct model *model = NULL;
    char path[PATH_MAX_BYTES];
    struct err err = { 0 };

    folder_make(&folder);
    tiny_llama_write(&tiny_llama_default, folder_path(&folder, "tiny.gguf", path));
    assert_ok(model_open(path, &model, &err), err);
    verdict =
        mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(verdict != MAP_FAILED);
    *state = model;
    return 0;
}

static int tear_down(void **state)
{
    (void)munmap(verdict, sizeof(*verdict));
    model_free(*state);
    folder_remove(&folder);
    return 0;
}

static void tokens_are_computed_without_system_calls(void **state)
{
    const struct verdict v = verdict_of_child(*state, false);

    if (v.call != CALLED_NOTHING)
        fail_msg("system call %d", v.call);
    assert_true(v.n_tokens >= N_STREAMS * (WARM_UP + STEPS)); /* guessed ones come on top */
}

static void a_system_call_would_be_noticed(void **state)
{
    assert_int_equal(verdict_of_child(*state, true).call, SYS_getppid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_system_call_would_be_noticed),
        cmocka_unit_test(tokens_are_computed_without_system_calls),
    };

    return cmocka_run_group_tests_name("execute/system_calls", tests, set_up, tear_down);
}
