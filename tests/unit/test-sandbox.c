/*
 * -sandbox: what each group takes away, and what it leaves
 *
 * A filter stays for good, so each case is a child process: it gives up
 * system calls, makes one that would do no harm, and how it ends is looked
 * at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#ifdef CONFIG_SECCOMP

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NOT_APPLIED 200         /* no errno is that large */
#define KILLED (-SIGSYS)

typedef long Deed(void);

static void become_child(void)
{
    /* Many of them are killed: that is no reason for a core file. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

/* The exit status, or minus the signal */
static int end_of(pid_t pid)
{
    int status;

    g_assert_cmpint(pid, >, 0);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* 0, the errno of @deed within the sandbox @arg, or KILLED */
static int outcome(const char *arg, Deed *deed)
{
    pid_t pid = fork();

    if (pid == 0) {
        become_child();
        if (!sandbox_apply(arg, NULL)) {
            _exit(NOT_APPLIED);
        }
        _exit(deed() < 0 ? errno : 0);
    }
    return end_of(pid);
}

/* One call of each group; harmless where it is allowed */

static long unmount_nothing(void)
{
    return syscall(SYS_umount2, NULL, 0);
}

#ifdef SYS_sysfs
static long count_file_systems(void)
{
    return syscall(SYS_sysfs, 3);
}
#endif

static long stay_who_we_are(void)
{
    return syscall(SYS_setuid, getuid());
}

static long run_nothing(void)
{
    return syscall(SYS_execve, "/nonexistent/program", NULL, NULL);
}

static long be_two(void)
{
    pid_t pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 ? -1 : end_of(pid);
}

static long be_two_by_a_structure(void)
{
    return syscall(SYS_clone3, NULL, 0);
}

static void *thread_that_ends(void *opaque)
{
    return opaque;
}

static long have_a_thread(void)
{
    pthread_t thread;

    errno = pthread_create(&thread, NULL, thread_that_ends, NULL);
    return errno ? -1 : -pthread_join(thread, NULL);
}

static long ask_for_priority(void)
{
    return syscall(SYS_getpriority, PRIO_PROCESS, 0);
}

static long may_gain_privileges(void)
{
    errno = EPERM;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -1;
}

static void test_always(void)
{
    g_assert_cmpint(outcome("on", unmount_nothing), ==, KILLED);
    g_assert_cmpint(outcome("enable=on", unmount_nothing), ==, KILLED);
    g_assert_cmpint(outcome("on", may_gain_privileges), ==, 0);
}

static void test_off(void)
{
    int end = outcome("off", unmount_nothing);

    g_assert_true(end == EFAULT || end == EPERM);
}

static void test_obsolete(void)
{
#ifdef SYS_sysfs
    g_assert_cmpint(outcome("on", count_file_systems), ==, KILLED);
    g_assert_cmpint(outcome("on,obsolete=deny", count_file_systems), ==,
                    KILLED);
    g_assert_cmpint(outcome("on,obsolete=allow", count_file_systems), ==,
                    outcome("off", count_file_systems));
#else
    g_test_skip("this machine has no obsolete system calls");
#endif
}

static void test_elevateprivileges(void)
{
    g_assert_cmpint(outcome("on", stay_who_we_are), ==, 0);
    g_assert_cmpint(outcome("on,elevateprivileges=allow", stay_who_we_are),
                    ==, 0);
    g_assert_cmpint(outcome("on,elevateprivileges=deny", stay_who_we_are), ==,
                    KILLED);
    g_assert_cmpint(outcome("on,elevateprivileges=children",
                            stay_who_we_are), ==, 0);
    g_assert_cmpint(outcome("on,elevateprivileges=children",
                            may_gain_privileges), ==, 0);
}

static void test_spawn(void)
{
    g_assert_cmpint(outcome("on", run_nothing), ==, ENOENT);
    g_assert_cmpint(outcome("on,spawn=allow", be_two), ==, 0);
    g_assert_cmpint(outcome("on", be_two_by_a_structure), ==, EINVAL);
    g_assert_cmpint(outcome("on,spawn=deny", run_nothing), ==, KILLED);
#ifndef CONFIG_ASAN             /* the leak checker needs a process */
    g_assert_cmpint(outcome("on,spawn=deny", be_two), ==, KILLED);
    g_assert_cmpint(outcome("on,spawn=deny", be_two_by_a_structure), ==,
                    ENOSYS);
#endif
}

/* Of what makes processes, what makes threads must be left. */
static void test_threads(void)
{
    g_assert_cmpint(outcome("on,obsolete=deny,elevateprivileges=deny,"
                            "spawn=deny,resourcecontrol=deny",
                            have_a_thread), ==, 0);
}

static void test_resourcecontrol(void)
{
    g_assert_cmpint(outcome("on", ask_for_priority), ==, 0);
    g_assert_cmpint(outcome("on,resourcecontrol=allow", ask_for_priority), ==,
                    0);
    g_assert_cmpint(outcome("on,resourcecontrol=deny", ask_for_priority), ==,
                    EPERM);
}

/* A thread that was there before is in the sandbox too */

static void *thread_that_unmounts(void *opaque)
{
    char go;

    if (read(*(int *)opaque, &go, 1) == 1) {
        unmount_nothing();
    }
    return NULL;
}

static void test_threads_from_before(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        pthread_t thread;
        int fds[2];

        become_child();
        if (pipe(fds) < 0 ||
            pthread_create(&thread, NULL, thread_that_unmounts, &fds[0]) ||
            !sandbox_apply("on", NULL) || write(fds[1], "", 1) != 1) {
            _exit(NOT_APPLIED);
        }
        pthread_join(thread, NULL);
        _exit(0);
    }
    g_assert_cmpint(end_of(pid), ==, KILLED);
}

/* Errors */

static void test_bad_values(void)
{
    static const struct {
        const char *arg;
        const char *text;
    } cases[] = {
        { "maybe", "expected 'on' or 'off'" },
        { "spawn=deny", "expected 'on' or 'off'" },
        { "on,obsolete=no", "invalid argument for obsolete: 'no', expected "
          "deny or allow" },
        { "on,elevateprivileges=child", "invalid argument for "
          "elevateprivileges: 'child', expected deny or allow" },
        { "on,spawn=on", "invalid argument for spawn: 'on', expected deny or "
          "allow" },
        { "on,resourcecontrol=", "invalid argument for resourcecontrol: '', "
          "expected deny or allow" },
        { "on,network=deny", "Invalid parameter 'network', expected "
          "obsolete, elevateprivileges, spawn or resourcecontrol" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) err = NULL;

        g_assert_false(sandbox_apply(cases[i].arg, &err));
        g_assert_cmpstr(err->message, ==, cases[i].text);
    }
}

/* From now on system call @nr answers EACCES. */
static void lose_call(unsigned nr)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { ARRAY_SIZE(code), code };

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        _exit(NOT_APPLIED);
    }
}

/* A kernel without @nr: @arg is refused, with a text that begins so. */
static void check_refusal(unsigned nr, const char *arg, const char *text)
{
    pid_t pid = fork();

    if (pid == 0) {
        g_autoptr(GError) err = NULL;

        become_child();
        lose_call(nr);
        if (sandbox_apply(arg, &err)) {
            _exit(1);
        }
        fprintf(stderr, "%s\n", err->message);
        _exit(g_str_has_prefix(err->message, text) ? 0 : 2);
    }
    g_assert_cmpint(end_of(pid), ==, 0);
}

static void test_kernel_refuses(void)
{
    check_refusal(SYS_seccomp, "on", "failed to install the seccomp filter: ");
    check_refusal(SYS_prctl, "on,elevateprivileges=children",
                  "failed to set no_new_privs: Permission denied");
}

#else

static void test_missing(void)
{
    g_autoptr(GError) err = NULL;

    g_assert_false(sandbox_apply("on", &err));
    g_assert_cmpstr(err->message, ==, "this build has no libseccomp");
}

#endif

#ifdef CONFIG_SECCOMP
/* What the kernel must do something for; valgrind's knows no filters. */
static void run_with_filters(gconstpointer test)
{
    const uint32_t action = SECCOMP_RET_KILL_PROCESS;

    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0) {
        g_test_skip("the kernel has no seccomp filters");
        return;
    }
    ((void (*)(void))test)();
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#ifdef CONFIG_SECCOMP
    static const struct {
        const char *path;
        void (*func)(void);
    } tests[] = {
        { "/sandbox/always", test_always },
        { "/sandbox/off", test_off },
        { "/sandbox/obsolete", test_obsolete },
        { "/sandbox/elevateprivileges", test_elevateprivileges },
        { "/sandbox/spawn", test_spawn },
        { "/sandbox/threads", test_threads },
        { "/sandbox/threads-from-before", test_threads_from_before },
        { "/sandbox/resourcecontrol", test_resourcecontrol },
        { "/sandbox/kernel-refuses", test_kernel_refuses },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add_data_func(tests[i].path, tests[i].func, run_with_filters);
    }
    g_test_add_func("/sandbox/bad-values", test_bad_values);
#else
    g_test_add_func("/sandbox/missing", test_missing);
#endif
    return g_test_run();
}
