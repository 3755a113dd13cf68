/*
 * -sandbox: system calls that this program never needs are given up
 *
 * A deny list in four groups, as QEMU has it.  What kills in QEMU kills here;
 * resourcecontrol answers EPERM, since libraries try it and can do without.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "storage-daemon.h"

#include "block/keyval.h"

#ifdef CONFIG_SECCOMP

#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>

typedef enum SandboxGroup {
    SANDBOX_DEFAULT = 1 << 0,
    SANDBOX_OBSOLETE = 1 << 1,
    SANDBOX_PRIVILEGED = 1 << 2,
    SANDBOX_SPAWN = 1 << 3,
    SANDBOX_RESOURCE = 1 << 4,
} SandboxGroup;

static const struct {
    int nr;
    SandboxGroup group;
} denied[] = {
    { SCMP_SYS(reboot), SANDBOX_DEFAULT },
    { SCMP_SYS(swapon), SANDBOX_DEFAULT },
    { SCMP_SYS(swapoff), SANDBOX_DEFAULT },
    { SCMP_SYS(syslog), SANDBOX_DEFAULT },
    { SCMP_SYS(mount), SANDBOX_DEFAULT },
    { SCMP_SYS(umount), SANDBOX_DEFAULT },
    { SCMP_SYS(umount2), SANDBOX_DEFAULT },
    { SCMP_SYS(kexec_load), SANDBOX_DEFAULT },
    { SCMP_SYS(kexec_file_load), SANDBOX_DEFAULT },
    { SCMP_SYS(pivot_root), SANDBOX_DEFAULT },
    { SCMP_SYS(init_module), SANDBOX_DEFAULT },
    { SCMP_SYS(finit_module), SANDBOX_DEFAULT },
    { SCMP_SYS(delete_module), SANDBOX_DEFAULT },
    { SCMP_SYS(ptrace), SANDBOX_DEFAULT },
    { SCMP_SYS(perf_event_open), SANDBOX_DEFAULT },
    { SCMP_SYS(process_vm_readv), SANDBOX_DEFAULT },
    { SCMP_SYS(process_vm_writev), SANDBOX_DEFAULT },
    { SCMP_SYS(acct), SANDBOX_DEFAULT },
    { SCMP_SYS(settimeofday), SANDBOX_DEFAULT },
    { SCMP_SYS(clock_settime), SANDBOX_DEFAULT },

    { SCMP_SYS(readdir), SANDBOX_OBSOLETE },
    { SCMP_SYS(_sysctl), SANDBOX_OBSOLETE },
    { SCMP_SYS(bdflush), SANDBOX_OBSOLETE },
    { SCMP_SYS(create_module), SANDBOX_OBSOLETE },
    { SCMP_SYS(get_kernel_syms), SANDBOX_OBSOLETE },
    { SCMP_SYS(query_module), SANDBOX_OBSOLETE },
    { SCMP_SYS(sgetmask), SANDBOX_OBSOLETE },
    { SCMP_SYS(ssetmask), SANDBOX_OBSOLETE },
    { SCMP_SYS(sysfs), SANDBOX_OBSOLETE },
    { SCMP_SYS(uselib), SANDBOX_OBSOLETE },
    { SCMP_SYS(ustat), SANDBOX_OBSOLETE },

    { SCMP_SYS(setuid), SANDBOX_PRIVILEGED },
    { SCMP_SYS(setgid), SANDBOX_PRIVILEGED },
    { SCMP_SYS(setpgid), SANDBOX_PRIVILEGED },
    { SCMP_SYS(setsid), SANDBOX_PRIVILEGED },
    { SCMP_SYS(setreuid), SANDBOX_PRIVILEGED },
    { SCMP_SYS(setregid), SANDBOX_PRIVILEGED },
    { SCMP_SYS(setresuid), SANDBOX_PRIVILEGED },
    { SCMP_SYS(setresgid), SANDBOX_PRIVILEGED },
    { SCMP_SYS(setfsuid), SANDBOX_PRIVILEGED },
    { SCMP_SYS(setfsgid), SANDBOX_PRIVILEGED },

    { SCMP_SYS(fork), SANDBOX_SPAWN },
    { SCMP_SYS(vfork), SANDBOX_SPAWN },
    { SCMP_SYS(execve), SANDBOX_SPAWN },
    { SCMP_SYS(execveat), SANDBOX_SPAWN },

    { SCMP_SYS(getpriority), SANDBOX_RESOURCE },
    { SCMP_SYS(setpriority), SANDBOX_RESOURCE },
    { SCMP_SYS(sched_setparam), SANDBOX_RESOURCE },
    { SCMP_SYS(sched_setscheduler), SANDBOX_RESOURCE },
    { SCMP_SYS(sched_setaffinity), SANDBOX_RESOURCE },
    { SCMP_SYS(setrlimit), SANDBOX_RESOURCE },
};

/*
 * The leak checker of a sanitized build looks at us from a process of its
 * own at the end, by ptrace.
 */
#ifdef CONFIG_ASAN
#define LEAK_CHECKER true
#else
#define LEAK_CHECKER false
#endif

static bool is_denied(size_t row, unsigned groups)
{
    return (groups & denied[row].group) &&
           !(LEAK_CHECKER && denied[row].nr == SCMP_SYS(ptrace));
}

static uint32_t action_of(SandboxGroup group)
{
    return group == SANDBOX_RESOURCE ? SCMP_ACT_ERRNO(EPERM)
                                     : SCMP_ACT_KILL_PROCESS;
}

/* Threads are made by clone too: only what is not a thread is denied. */
static int deny_new_processes(scmp_filter_ctx filter)
{
    int ret = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone),
                               1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD,
                                          0));

    /* Its flags are in memory, out of reach: the C library falls back. */
    return ret ?: seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS),
                                   SCMP_SYS(clone3), 0);
}

static int load_filter(unsigned groups)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    size_t i;
    int ret;

    if (!filter) {
        return -ENOMEM;
    }
    ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    for (i = 0; ret == 0 && i < ARRAY_SIZE(denied); i++) {
        if (is_denied(i, groups)) {
            ret = seccomp_rule_add(filter, action_of(denied[i].group),
                                   denied[i].nr, 0);
        }
    }
    if (ret == 0 && (groups & SANDBOX_SPAWN) && !LEAK_CHECKER) {
        ret = deny_new_processes(filter);
    }
    if (ret == 0) {
        ret = seccomp_load(filter);
    }
    seccomp_release(filter);
    return ret;
}

typedef struct Sandbox {
    bool enable;
    bool no_new_privs;
    unsigned groups;            /* SANDBOX_*: to give up */
} Sandbox;

/* "allow" or "deny" of @key: sets or clears @group in *@groups. */
static bool parse_group(json_t *opts, const char *key, unsigned group,
                        bool deny_by_default, unsigned *groups, GError **errp)
{
    const char *value = json_string_value(json_object_get(opts, key));
    bool deny = deny_by_default;

    if (value) {
        deny = g_str_equal(value, "deny");
        if (!deny && !g_str_equal(value, "allow")) {
            error_setg(errp, "invalid argument for %s: '%s', expected deny "
                       "or allow", key, value);
            return false;
        }
        json_object_del(opts, key);
    }
    *groups |= deny ? group : 0;
    return true;
}

/* elevateprivileges=children: ourselves may, what we start may not. */
static bool parse_privileges(json_t *opts, Sandbox *sandbox, GError **errp)
{
    const char *key = "elevateprivileges";
    const char *value = json_string_value(json_object_get(opts, key));

    if (value && g_str_equal(value, "children")) {
        json_object_del(opts, key);
        sandbox->no_new_privs = true;
        return true;
    }
    return parse_group(opts, key, SANDBOX_PRIVILEGED, false, &sandbox->groups,
                       errp);
}

static bool parse_enable(json_t *opts, Sandbox *sandbox, GError **errp)
{
    const char *value = json_string_value(json_object_get(opts, "enable"));

    sandbox->enable = value && g_str_equal(value, "on");
    if (!sandbox->enable && !(value && g_str_equal(value, "off"))) {
        error_setg(errp, "expected 'on' or 'off'");
        return false;
    }
    json_object_del(opts, "enable");
    return true;
}

static bool parse(json_t *opts, Sandbox *sandbox, GError **errp)
{
    unsigned *groups = &sandbox->groups;
    const char *key;
    json_t *value;

    if (!parse_enable(opts, sandbox, errp) ||
        !parse_group(opts, "obsolete", SANDBOX_OBSOLETE, true, groups, errp) ||
        !parse_group(opts, "spawn", SANDBOX_SPAWN, false, groups, errp) ||
        !parse_group(opts, "resourcecontrol", SANDBOX_RESOURCE, false,
                     groups, errp) ||
        !parse_privileges(opts, sandbox, errp)) {
        return false;
    }
    json_object_foreach(opts, key, value) {
        error_setg(errp, "Invalid parameter '%s', expected obsolete, "
                   "elevateprivileges, spawn or resourcecontrol", key);
        return false;
    }
    return true;
}

static bool apply(json_t *opts, GError **errp)
{
    Sandbox sandbox = { .groups = SANDBOX_DEFAULT };
    int ret;

    if (!parse(opts, &sandbox, errp)) {
        return false;
    }
    if (!sandbox.enable) {
        return true;
    }
    if (sandbox.no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        error_setg_errno(errp, errno, "failed to set no_new_privs");
        return false;
    }
    ret = load_filter(sandbox.groups);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "failed to install the seccomp filter");
    }
    return ret == 0;
}

#else

static bool apply(json_t *opts, GError **errp)
{
    error_setg(errp, "this build has no libseccomp");
    return false;
}

#endif

bool sandbox_apply(const char *arg, GError **errp)
{
    json_t *opts = keyval_parse(arg, "enable", NULL, errp);
    bool ok = opts && apply(opts, errp);

    json_decref(opts);
    return ok;
}
