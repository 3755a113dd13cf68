/*
 * Throttle groups: who may go on, and when
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"

#include <jansson.h>

#include "block/throttle-group-int.h"
#include "co-run.h"

/* One second; a group starts with a tenth of it and the request that fills. */
#define SECOND NANOSECONDS_PER_SECOND

typedef struct Fixture {
    AioVirtualClock clock;
    AioContext *ctx;
    ThrottleGroup *group;
    ThrottleMember *a, *b;
    GString *order;             /* one letter for each request let on */
} Fixture;

static ThrottleConfig iops(int64_t total)
{
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    cfg.limit[THROTTLE_OPS_TOTAL].avg = total;
    return cfg;
}

static void setup(Fixture *f, gconstpointer unused)
{
    ThrottleConfig cfg = iops(10);

    f->clock.now_ns = SECOND;
    f->ctx = aio_context_new(&f->clock, NULL);
    f->group = throttle_group_new("group", NULL, &cfg);
    f->a = throttle_member_new("group", NULL);
    f->b = throttle_member_new("group", NULL);
    f->order = g_string_new(NULL);
}

static void teardown(Fixture *f, gconstpointer unused)
{
    throttle_member_free(f->a);
    throttle_member_free(f->b);
    throttle_group_unref(f->group);
    g_assert_false(throttle_group_exists("group"));
    g_string_free(f->order, true);
    aio_context_free(f->ctx);
}

typedef struct Request {
    Fixture *f;
    ThrottleMember *tgm;
    char letter;
    bool is_write;
} Request;

static void coroutine_fn request_entry(void *opaque)
{
    Request *req = opaque;

    throttle_member_co_wait(req->tgm, 512, req->is_write);
    g_string_append_c(req->f->order, req->letter);
    g_free(req);
}

static void start(Fixture *f, ThrottleMember *tgm, char letter, bool is_write,
                  int n)
{
    while (n-- > 0) {
        Request *req = g_new(Request, 1);

        *req = (Request) {
            .f = f, .tgm = tgm, .letter = letter, .is_write = is_write,
        };
        coroutine_start(request_entry, req);
    }
}

/* Move the clock from deadline to deadline until @ns have gone by. */
static void pass_time(Fixture *f, int64_t ns)
{
    int64_t end = f->clock.now_ns + ns;

    for (;;) {
        int64_t deadline = aio_next_deadline_ns(f->ctx);

        if (deadline < 0 || deadline > end) {
            break;
        }
        f->clock.now_ns = MAX(deadline, f->clock.now_ns);
        poll_idle();
    }
    f->clock.now_ns = end;
    poll_idle();
}

static void test_rate(Fixture *f, gconstpointer unused)
{
    start(f, f->a, 'a', false, 100);
    g_assert_cmpint(f->order->len, ==, 2);
    pass_time(f, SECOND + 10);
    g_assert_cmpint(f->order->len, ==, 12);
    pass_time(f, 20 * SECOND);
    g_assert_cmpint(f->order->len, ==, 100);
}

static void test_members_take_turns(Fixture *f, gconstpointer unused)
{
    start(f, f->a, 'a', false, 20);
    start(f, f->b, 'b', false, 5);
    g_assert_cmpstr(f->order->str, ==, "aa");
    pass_time(f, 60 * SECOND);
    g_assert_cmpstr(f->order->str, ==, "aa" "ababababab" "aaaaaaaaaaaaa");
}

static void test_directions_take_turns(Fixture *f, gconstpointer unused)
{
    start(f, f->a, 'r', false, 6);
    start(f, f->a, 'w', true, 4);
    pass_time(f, 60 * SECOND);
    g_assert_cmpstr(f->order->str, ==, "rr" "rwrwrwrw");
}

static void test_one_direction_does_not_hold_up_the_other(Fixture *f,
                                                          gconstpointer unused)
{
    ThrottleConfig cfg;

    throttle_config_init(&cfg);
    cfg.limit[THROTTLE_OPS_WRITE].avg = 1;
    throttle_group_set_config(f->group, &cfg);

    start(f, f->a, 'w', true, 3);
    start(f, f->a, 'r', false, 50);
    g_assert_cmpint(f->order->len, ==, 51);
    pass_time(f, 10 * SECOND);
}

static void test_bypass_lets_all_of_one_member_pass(Fixture *f,
                                                    gconstpointer unused)
{
    start(f, f->a, 'a', false, 10);
    start(f, f->b, 'b', false, 3);
    throttle_member_set_bypass(f->a, true);
    poll_idle();
    g_assert_cmpstr(f->order->str, ==, "aaaaaaaaaa");

    start(f, f->a, 'A', false, 1);
    g_assert_cmpstr(f->order->str, ==, "aaaaaaaaaaA");

    /* What passed has been counted. */
    throttle_member_set_bypass(f->a, false);
    pass_time(f, SECOND / 2);
    g_assert_cmpstr(f->order->str, ==, "aaaaaaaaaaA");
    pass_time(f, 10 * SECOND);
    g_assert_cmpstr(f->order->str, ==, "aaaaaaaaaaAbbb");
}

static void test_new_limits_hold_at_once(Fixture *f, gconstpointer unused)
{
    ThrottleConfig cfg = iops(1000);

    start(f, f->a, 'a', false, 50);
    g_assert_cmpint(f->order->len, ==, 2);
    throttle_group_set_config(f->group, &cfg);
    poll_idle();
    g_assert_cmpint(f->order->len, ==, 50);
}

static void test_group_that_does_not_exist(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    g_autoptr(GError) err = NULL;

    g_assert_null(throttle_member_new("nope", &err));
    g_assert_cmpstr(err->message, ==, "Throttle group 'nope' does not exist");
    aio_context_free(ctx);
}

/* Objects */

static const ObjectTypeInfo *const types[] = { &throttle_group_type, NULL };

static void add_object(const char *id, int64_t total)
{
    ThrottleLimits limits = { .has_iops_total = true, .iops_total = total };
    ObjectOptions options = {
        .qom_type = OBJECT_TYPE_THROTTLE_GROUP,
        .id = (char *)id,
        .u.throttle_group = {
            .limits = &limits,
            .has_x_iops_total_max = true,
            .x_iops_total_max = 5 * total,
        },
    };
    g_autoptr(GError) err = NULL;

    object_add(&options, &err);
    g_assert_no_error(err);
}

static void test_object_is_kept_by_its_members(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    ThrottleMember *tgm;

    object_register_types(types);
    add_object("tg0", 10);
    tgm = throttle_member_new("tg0", NULL);
    g_assert_nonnull(tgm);
    g_assert_false(object_del("tg0", NULL));
    throttle_member_free(tgm);
    g_assert_true(object_del("tg0", NULL));
    g_assert_false(throttle_group_exists("tg0"));
    aio_context_free(ctx);
}

static void test_object_properties(void)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    g_autoptr(GError) err = NULL;
    json_t *limits, *value;
    Object *obj;

    object_register_types(types);
    add_object("tg0", 10);
    obj = object_lookup("tg0");

    limits = obj->info->get(obj, "limits", NULL);
    g_assert_cmpint(json_integer_value(json_object_get(limits, "iops-total")),
                    ==, 10);
    g_assert_cmpint(json_integer_value(json_object_get(limits,
                                                       "iops-total-max")),
                    ==, 50);
    json_decref(limits);

    value = json_integer(20);
    g_assert_true(obj->info->set(obj, "x-iops-total", value, NULL));
    json_decref(value);
    value = obj->info->get(obj, "x-iops-total", NULL);
    g_assert_cmpint(json_integer_value(value), ==, 20);
    json_decref(value);

    /* Refused, and nothing has changed */
    limits = json_pack("{s:i,s:i}", "iops-total", 60, "iops-total-max", 40);
    g_assert_false(obj->info->set(obj, "limits", limits, &err));
    json_decref(limits);
    value = obj->info->get(obj, "x-iops-total", NULL);
    g_assert_cmpint(json_integer_value(value), ==, 20);
    json_decref(value);

    g_assert_null(obj->info->get(obj, "x-nope", NULL));
    g_assert_true(object_del("tg0", NULL));
    aio_context_free(ctx);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*func)(Fixture *f, gconstpointer unused);
    } tests[] = {
        { "/throttle-group/rate", test_rate },
        { "/throttle-group/fair/members", test_members_take_turns },
        { "/throttle-group/fair/directions", test_directions_take_turns },
        { "/throttle-group/fair/apart",
          test_one_direction_does_not_hold_up_the_other },
        { "/throttle-group/bypass", test_bypass_lets_all_of_one_member_pass },
        { "/throttle-group/new-limits", test_new_limits_hold_at_once },
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].func,
                   teardown);
    }
    g_test_add_func("/throttle-group/unknown", test_group_that_does_not_exist);
    g_test_add_func("/throttle-group/object/kept",
                    test_object_is_kept_by_its_members);
    g_test_add_func("/throttle-group/object/properties",
                    test_object_properties);
    return g_test_run();
}
