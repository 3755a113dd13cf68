/*
 * authz-list-file: the list of rules is in a file
 *
 * With refresh, each check looks at the file's identity and time, and reads
 * it again if it has changed.  A file that is gone or broken lets nobody in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "osdep.h"
#include "qom/authz.h"

#include <jansson.h>
#include <sys/stat.h>

#include "qapi/qapi-visit-authz.h"
#include "qom/file.h"

typedef struct AuthzListFile {
    Object obj;

    AuthZListProperties *list;  /* NULL: the file could not be read */
    struct stat st;             /* of the file when it was read */
} AuthzListFile;

static const AuthZListFileProperties *props_of(Object *obj)
{
    return &obj->options->u.authz_list_file;
}

static AuthZListProperties *authz_list_file_parse(const char *filename,
                                                  GError **errp)
{
    g_autofree char *text = NULL;
    AuthZListProperties *list;
    json_error_t jerr;
    json_t *json;
    size_t len;

    text = qom_read_file(filename, &len, errp);
    if (!text) {
        return NULL;
    }
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &jerr);
    if (!json) {
        error_setg(errp, "File '%s' line %d: %s", filename, jerr.line,
                   jerr.text);
        return NULL;
    }
    list = qapi_AuthZListProperties_from_json(json, errp);
    json_decref(json);
    if (!list && errp) {
        error_prepend(errp, "File '%s': ", filename);
    }
    return list;
}

static bool authz_list_file_load(AuthzListFile *f, GError **errp)
{
    const char *filename = props_of(&f->obj)->filename;

    qapi_free_AuthZListProperties(f->list);
    f->list = NULL;
    /* Before reading: a change in between is seen at the next check. */
    if (stat(filename, &f->st) < 0) {
        memset(&f->st, 0, sizeof(f->st));
    }
    f->list = authz_list_file_parse(filename, errp);
    return f->list != NULL;
}

static bool authz_list_file_changed(const AuthzListFile *f,
                                    const struct stat *st)
{
    return st->st_dev != f->st.st_dev || st->st_ino != f->st.st_ino ||
           st->st_size != f->st.st_size ||
           st->st_mtim.tv_sec != f->st.st_mtim.tv_sec ||
           st->st_mtim.tv_nsec != f->st.st_mtim.tv_nsec;
}

static void authz_list_file_refresh(AuthzListFile *f)
{
    const AuthZListFileProperties *props = props_of(&f->obj);
    g_autoptr(GError) err = NULL;
    struct stat st = { 0 };

    if (props->has_refresh && !props->refresh) {
        return;
    }
    if (stat(props->filename, &st) < 0) {
        memset(&st, 0, sizeof(st));
    }
    if (authz_list_file_changed(f, &st) && !authz_list_file_load(f, &err)) {
        warn_report("object '%s' lets nobody in: %s", f->obj.id,
                    err->message);
    }
}

bool authz_list_file_check(Object *obj, const char *identity)
{
    AuthzListFile *f = container_of(obj, AuthzListFile, obj);

    authz_list_file_refresh(f);
    return f->list && authz_rules_check(f->list, identity);
}

static bool authz_list_file_init(Object *obj, const ObjectOptions *options,
                                 GError **errp)
{
    return authz_list_file_load(container_of(obj, AuthzListFile, obj), errp);
}

static void authz_list_file_finalize(Object *obj)
{
    AuthzListFile *f = container_of(obj, AuthzListFile, obj);

    qapi_free_AuthZListProperties(f->list);
}

const ObjectTypeInfo authz_list_file_type = {
    .type           = OBJECT_TYPE_AUTHZ_LIST_FILE,
    .instance_size  = sizeof(AuthzListFile),
    .init           = authz_list_file_init,
    .finalize       = authz_list_file_finalize,
};
