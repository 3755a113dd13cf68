/*
 * -drive strings to trees of nodes
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "block/options.h"

#include "qapi/json-stream.h"
#include "util/aio.h"

typedef struct Row {
    const char *text;
    const char *expected;       /* JSON in '...', or a part of the error
                                 * after "! " */
} Row;

static const Row rows[] = {
    { "file=x,format=raw",
      "{'driver': 'raw', 'read-only': 'off',"
      " 'file': {'driver': 'file', 'filename': 'x'}}" },
    { "file=x",
      "{'read-only': 'off', 'file': {'driver': 'file', 'filename': 'x',"
      " 'read-only': 'off', 'discard': 'unmap'}}" },
    { "file=a,,b,driver=raw,readonly",
      "{'driver': 'raw', 'read-only': 'on',"
      " 'file': {'driver': 'file', 'filename': 'a,b'}}" },
    { "file=x,driver=raw,media=cdrom",
      "{'driver': 'raw', 'read-only': 'on',"
      " 'file': {'driver': 'file', 'filename': 'x'}}" },
    { "file=x,driver=file",
      "{'driver': 'file', 'filename': 'x', 'read-only': 'off'}" },
    { "file.filename=x,driver=raw",
      "{'driver': 'raw', 'read-only': 'off',"
      " 'file': {'driver': 'file', 'filename': 'x'}}" },
    { "file=x,driver=raw,file.locking=off,offset=1M",
      "{'driver': 'raw', 'read-only': 'off', 'offset': '1048576',"
      " 'file': {'driver': 'file', 'filename': 'x', 'locking': 'off'}}" },
    { "file=x,driver=raw,cache=none,aio=native,discard=on",
      "{'driver': 'raw', 'read-only': 'off', 'discard': 'unmap',"
      " 'cache': {'direct': 'on', 'no-flush': 'off'},"
      " 'file': {'driver': 'file', 'filename': 'x', 'aio': 'native'}}" },
    { "file=x,driver=raw,cache=none,cache.direct=off",
      "{'driver': 'raw', 'read-only': 'off',"
      " 'cache': {'direct': 'off', 'no-flush': 'off'},"
      " 'file': {'driver': 'file', 'filename': 'x'}}" },
    { "file=nbd://h/e,format=raw",
      "{'driver': 'raw', 'read-only': 'off', 'file': {'driver': 'nbd',"
      " 'server': {'type': 'inet', 'host': 'h', 'port': '10809'},"
      " 'export': 'e'}}" },
    { "file=json:{\"driver\":\"raw\",,\"size\":512,,\"file\":"
      "{\"driver\":\"file\",,\"filename\":\"x\"}}",
      "{'driver': 'raw', 'read-only': 'off', 'size': '512',"
      " 'file': {'driver': 'file', 'filename': 'x'}}" },
    { "file=x,driver=blkdebug",
      "{'driver': 'blkdebug', 'read-only': 'off',"
      " 'image': {'driver': 'file', 'filename': 'x'}}" },
    { "driver=null-co,size=1M,if=none",
      "{'driver': 'null-co', 'size': '1048576', 'read-only': 'off'}" },

    /* The lines of every COLO script */
    { "if=virtio,id=p,driver=quorum,read-pattern=fifo,vote-threshold=1,"
      "children.0.file.filename=1.raw,children.0.driver=raw",
      "{'driver': 'quorum', 'read-pattern': 'fifo', 'vote-threshold': '1',"
      " 'read-only': 'off', 'children': [{'driver': 'raw',"
      " 'file': {'driver': 'file', 'filename': '1.raw'}}]}" },
    { "if=ide,id=c,driver=quorum,vote-threshold=1,children.0=childs0",
      "{'driver': 'quorum', 'vote-threshold': '1', 'read-only': 'off',"
      " 'children': ['childs0']}" },
    { "driver=replication,mode=primary,file.driver=nbd,file.host=h,"
      "file.port=9999,file.export=parent0,node-name=r0",
      "{'driver': 'replication', 'mode': 'primary', 'node-name': 'r0',"
      " 'read-only': 'off', 'file': {'driver': 'nbd', 'export': 'parent0',"
      " 'server': {'type': 'inet', 'host': 'h', 'port': '9999'}}}" },
    { "if=none,id=s,driver=replication,mode=secondary,file.driver=qcow2,"
      "top-id=t,file.file.filename=a,file.backing.driver=qcow2,"
      "file.backing.file.filename=h,file.backing.backing=parent0",
      "{'driver': 'replication', 'mode': 'secondary', 'top-id': 't',"
      " 'read-only': 'off', 'file': {'driver': 'qcow2',"
      " 'file': {'driver': 'file', 'filename': 'a'},"
      " 'backing': {'driver': 'qcow2', 'backing': 'parent0',"
      " 'file': {'driver': 'file', 'filename': 'h'}}}}" },
    { "driver=throttle,throttle-group=g,file.filename=x",
      "{'driver': 'throttle', 'throttle-group': 'g', 'read-only': 'off',"
      " 'file': {'driver': 'file', 'filename': 'x'}}" },

    /* What is probed is opened on its own and inherits beforehand. */
    { "driver=quorum,vote-threshold=1,cache=unsafe,"
      "children.0.file.filename=x,children.1=n",
      "{'driver': 'quorum', 'vote-threshold': '1', 'read-only': 'off',"
      " 'cache': {'direct': 'off', 'no-flush': 'on'}, 'children': ["
      "{'read-only': 'off', 'discard': 'unmap',"
      " 'cache': {'direct': 'off', 'no-flush': 'on'},"
      " 'file': {'driver': 'file', 'filename': 'x', 'read-only': 'off',"
      " 'discard': 'unmap',"
      " 'cache': {'direct': 'off', 'no-flush': 'on'}}}, 'n']}" },
    { "driver=qcow2,file.filename=x,backing.file.filename=y",
      "{'driver': 'qcow2', 'read-only': 'off', 'file': {'driver': 'file',"
      " 'filename': 'x', 'read-only': 'off', 'discard': 'unmap'},"
      " 'backing': {'read-only': 'on', 'file': {'driver': 'file',"
      " 'filename': 'y', 'read-only': 'on', 'discard': 'unmap'}}}" },
    { "driver=qcow2,file.filename=x,backing=",
      "{'driver': 'qcow2', 'read-only': 'off', 'backing': null,"
      " 'file': {'driver': 'file', 'filename': 'x'}}" },

    { "file=x,driver=raw,format=raw", "! both 'driver' and 'format'" },
    { "file=x,readonly=on,read-only=on", "! 'read-only' and its alias "
      "'readonly' can't be used at the same time" },
    { "file=x,readonly=maybe", "! 'readonly' expects 'on' or 'off'" },
    { "file=x,if=foo", "! unsupported bus type 'foo'" },
    { "file=x,media=tape", "! 'tape' invalid media" },
    { "file=x,cache=fast", "! invalid cache option 'fast'" },
    { "file=x,aio=fast", "! invalid aio option 'fast'" },
    { "file=x,discard=maybe", "! Invalid discard option" },
    { "file=x,werror=maybe", "! 'maybe' invalid write error action" },
    { "file=x,snapshot=on", "! 'snapshot=on' is not supported" },
    { "file=x,copy-on-read=on", "! 'copy-on-read=on' is not supported" },
    { "file=x,index=70000", "! Parameter 'index' expects a number" },
    { "file=x,id=1", "! Parameter 'id' expects an identifier" },
    { "file=x,bps=1,throttling.bps-total=2", "! 'throttling.bps-total' and its "
      "alias 'bps' can't be used at the same time" },
    { "format=raw,file.driver=nbd,file.path=/s,file.host=h",
      "! path and host may not be used" },
    { "driver=quorum,children.0.filename=x",
      "! either 'children.0.driver' or 'children.0.file'" },
    { "driver=throttle,file.file.filename=x",
      "! either 'file.driver' or 'file.filename'" },
    { "driver=raw,file.locking=off",
      "! either 'file.driver' or 'file.filename'" },
    { "if=none,node-name=n", "! Must specify either driver or file" },
    { "file=json:{", "! Could not parse the JSON options" },
    { "file=json:[]", "! Invalid JSON object given" },
    { "file=x,file.a=1,file=y,file.a.b=2", "! used inconsistently" },
};

static void check_row(const Row *row)
{
    g_autoptr(GError) err = NULL;
    g_autoptr(DriveSpec) spec = drive_spec_parse(row->text, &err);
    json_t *expected;

    if (row->expected[0] == '!') {
        g_assert_null(spec);
        g_assert_nonnull(strstr(err->message, row->expected + 2));
        return;
    }
    g_assert_no_error(err);
    expected = json_parse(row->expected, strlen(row->expected), &err);
    g_assert_no_error(err);
    if (!json_equal(spec->node, expected)) {
        g_autofree char *got = json_print(spec->node, NULL);

        g_test_message("got %s", got);
        g_test_fail();
    }
    json_decref(expected);
}

static void test_trees(void)
{
    size_t i;

    for (i = 0; i < ARRAY_SIZE(rows); i++) {
        g_test_message("'%s'", rows[i].text);
        check_row(&rows[i]);
    }
}

static void test_name_that_is_not_utf8(void)
{
    const Row row = { "file=\xff,format=raw",
                      "! Parameter 'file' is not valid UTF-8" };

    check_row(&row);
}

static void test_probed_when_no_format_is_given(void)
{
    g_autoptr(DriveSpec) probed = drive_spec_parse("file=x", NULL);
    g_autoptr(DriveSpec) given = drive_spec_parse("file=x,format=raw", NULL);

    g_assert_null(json_object_get(probed->node, "driver"));
    g_assert_nonnull(json_object_get(given->node, "driver"));
}

static void test_probed_file_gets_the_cache_mode(void)
{
    g_autoptr(DriveSpec) spec = drive_spec_parse("file=x,cache=unsafe", NULL);
    json_t *file = json_object_get(spec->node, "file");
    json_t *cache = json_object_get(file, "cache");

    g_assert_cmpstr(json_string_value(json_object_get(cache, "no-flush")), ==,
                    "on");
    g_assert_false(spec->writethrough);
}

static void test_writethrough_of_cache_modes(void)
{
    static const struct {
        const char *text;
        bool writethrough;
    } modes[] = {
        { "file=x", false },
        { "file=x,cache=writethrough", true },
        { "file=x,cache=directsync", true },
        { "file=x,cache=none", false },
        { "file=x,cache.writeback=off", true },
        { "file=x,cache=writethrough,cache.writeback=on", false },
    };
    size_t i;

    for (i = 0; i < ARRAY_SIZE(modes); i++) {
        g_autoptr(DriveSpec) spec = drive_spec_parse(modes[i].text, NULL);

        g_assert_true(spec->writethrough == modes[i].writethrough);
    }
}

static void test_old_throttling_keys(void)
{
    g_autoptr(DriveSpec) spec =
        drive_spec_parse("file=x,bps_rd=5,throttling.iops-size=7", NULL);

    g_assert_cmpstr(json_string_value(json_object_get(spec->throttle,
                                                      "bps_rd")), ==, "5");
    g_assert_cmpstr(json_string_value(json_object_get(spec->throttle,
                                                      "iops_size")), ==, "7");
    g_assert_cmpstr(json_string_value(json_object_get(spec->throttle,
                                                      "bps")), ==, "0");
}

static void test_drive_without_medium(void)
{
    g_autoptr(DriveSpec) spec = drive_spec_parse("if=none,id=x", NULL);

    g_assert_nonnull(spec);
    g_assert_null(spec->node);
}

/* Place the drives of @texts in turn; the last one gives @expected. */
static void check_places(const char *const *texts, const char *expected)
{
    AioContext *ctx = aio_context_new(NULL, NULL);
    g_autoptr(GError) err = NULL;
    g_autofree char *got = NULL;

    for (; *texts; texts++) {
        g_autoptr(DriveSpec) spec = drive_spec_parse(*texts, &err);

        g_assert_no_error(err);
        g_clear_pointer(&got, g_free);
        if (drive_spec_place(spec, &err)) {
            got = g_strdup_printf("%s %d:%d", spec->id, spec->bus,
                                  spec->unit);
            drive_info_add(spec);
        } else {
            g_assert_null(texts[1]);
            got = g_strdup(err->message);
        }
    }
    g_assert_cmpstr(got, ==, expected);
    aio_context_free(ctx);
}

#define PLACES(expected, ...) \
    check_places((const char *const[]) { __VA_ARGS__, NULL }, expected)

static void test_places(void)
{
    PLACES("none0 0:0", "file=x");
    PLACES("none1 0:1", "file=x", "file=y");
    PLACES("ide1-hd0 1:0", "if=ide", "if=ide", "if=ide");
    PLACES("ide0-cd1 0:1", "if=ide", "if=ide,media=cdrom");
    PLACES("virtio5 0:5", "if=virtio,index=5");
    PLACES("ide1-hd1 1:1", "if=ide,index=3");
    PLACES("drive with bus=0, unit=0 (index=0) exists",
           "if=ide,index=0", "if=ide,bus=0,unit=0");
    PLACES("drive with bus=0, unit=2 (index=2) exists",
           "if=virtio,index=2", "if=virtio,unit=2");
    PLACES("index cannot be used with bus and unit", "if=ide,index=0,bus=0");
    PLACES("unit 2 too big (max is 1)", "if=ide,unit=2");
    PLACES("Duplicate ID 'a' for drive", "id=a", "id=a");
    PLACES("b 0:0", "if=ide,id=a", "if=virtio,id=b");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/drive-options/trees", test_trees);
    g_test_add_func("/drive-options/utf8", test_name_that_is_not_utf8);
    g_test_add_func("/drive-options/probe",
                    test_probed_when_no_format_is_given);
    g_test_add_func("/drive-options/probe-cache",
                    test_probed_file_gets_the_cache_mode);
    g_test_add_func("/drive-options/writethrough",
                    test_writethrough_of_cache_modes);
    g_test_add_func("/drive-options/throttling", test_old_throttling_keys);
    g_test_add_func("/drive-options/no-medium", test_drive_without_medium);
    g_test_add_func("/drive-options/places", test_places);
    return g_test_run();
}
