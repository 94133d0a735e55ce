/* Replays the records of tests/records: each must be explained by exactly the findings that the
 * file `expected` there lists. Then what the founding case says to a person and to a program, and
 * what damaged records do. Run from the top of the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "explain/explain.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS "tests/records/"

static struct catalogue *catalogue;

static int load_catalogue(void **state)
{
        (void)state;
        return catalogue_load(&catalogue, "contrib/catalogue.conf", NULL, NULL);
}

static int free_catalogue(void **state)
{
        (void)state;
        catalogue_free(catalogue);
        return 0;
}

/* Explain tests/records/NAME.jsonl. The caller frees. */
static struct explanation explained(const char *name)
{
        struct record_events events;
        struct explanation ex;
        char path[256];

        snprintf(path, sizeof path, RECORDS "%s.jsonl", name);
        assert_int_equal(record_read(path, &events), 0);
        assert_int_equal(explain(&events, catalogue, &ex), 0);
        record_events_free(&events);
        return ex;
}

/* "a (b) [c]", or "-". */
static void codes_of(const struct explanation *ex, char *out, size_t cap)
{
        size_t len = 0;

        snprintf(out, cap, "-");
        for (size_t i = 0; i < ex->finding_count; i++) {
                len += (size_t)snprintf(out + len, cap - len, "%s", i > 0 ? " " : "");
                switch (ex->findings[i].severity) {
                case SEVERITY_NOTE:
                        len += (size_t)snprintf(out + len, cap - len, "[%s]", ex->findings[i].code);
                        break;
                case SEVERITY_WARNING:
                        len += (size_t)snprintf(out + len, cap - len, "(%s)", ex->findings[i].code);
                        break;
                case SEVERITY_ERROR:
                        len += (size_t)snprintf(out + len, cap - len, "%s", ex->findings[i].code);
                        break;
                }
        }
}

/* The text report, or the JSON one. Caller frees. */
static char *reported(const struct explanation *ex,
                      int (*report)(const struct explanation *, const char *, FILE *))
{
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        assert_non_null(out);
        assert_int_equal(report(ex, "/state/tapline/x.jsonl", out), 0);
        fclose(out);
        return text;
}

static void contains(const char *text, const char *wanted)
{
        if (strstr(text, wanted) == NULL)
                print_error("%s\n-- is not in --\n%s\n", wanted, text);
        assert_non_null(strstr(text, wanted));
}

/* What every finding must have, whatever it is. */
static void check_finding(const struct finding *f)
{
        assert_true(strlen(f->summary) > 20);
        assert_int_equal(f->summary[strlen(f->summary) - 1], '.');
        assert_true(f->evidence_count > 0 && f->evidence_count <= 8);
        assert_true(f->command_count > 0 || f->advice != NULL);
        for (size_t i = 0; i < f->evidence_count; i++)
                assert_null(strstr(f->evidence[i], "(null)"));
        assert_null(strstr(f->summary, "(null)"));
        if (f->advice != NULL)
                assert_null(strstr(f->advice, "(null)"));
        for (size_t i = 0; i < f->command_count; i++)
                assert_null(strstr(f->commands[i], "(null)"));
}

static void check_record(const char *name, const char *wanted)
{
        struct explanation ex = explained(name);
        char got[512], *text = reported(&ex, report_text), *json = reported(&ex, report_json);
        json_t *parsed = json_loads(json, 0, NULL);

        codes_of(&ex, got, sizeof got);
        if (strcmp(got, wanted) != 0)
                print_error("%s:\n%s\n", name, text);
        assert_string_equal(got, wanted);
        for (size_t i = 0; i < ex.finding_count; i++) {
                check_finding(&ex.findings[i]);
                contains(text, ex.findings[i].summary);
        }
        assert_int_equal(json_array_size(json_object_get(parsed, "findings")), ex.finding_count);
        assert_null(strchr(text, '\033'));
        if (getenv("SHOW") != NULL)
                printf("==== %s\n%s\n", name, text);
        json_decref(parsed);
        free(json);
        free(text);
        explanation_free(&ex);
}

static void explains_each_record(void **state)
{
        FILE *file = fopen(RECORDS "expected", "re");
        char line[512];
        size_t count = 0;

        (void)state;
        assert_non_null(file);
        while (fgets(line, sizeof line, file) != NULL) {
                char *name = strtok(line, " \n"),
                     *wanted = name != NULL ? strtok(NULL, "\n") : NULL;

                if (name == NULL || *name == '#')
                        continue;
                assert_non_null(wanted);
                check_record(name, wanted + strspn(wanted, " "));
                count++;
        }
        fclose(file);
        assert_true(count > 40);
}

static bool is_listed(const char *file_name)
{
        FILE *file = fopen(RECORDS "expected", "re");
        char line[512];
        size_t len = strlen(file_name) - strlen(".jsonl");
        bool found = false;

        assert_non_null(file);
        while (!found && fgets(line, sizeof line, file) != NULL)
                found = strncmp(line, file_name, len) == 0 && line[len] == ' ';
        fclose(file);
        return found;
}

static void no_record_is_forgotten(void **state)
{
        DIR *dir = opendir(RECORDS);
        const struct dirent *entry;

        (void)state;
        assert_non_null(dir);
        while ((entry = readdir(dir)) != NULL) {
                if (strstr(entry->d_name, ".jsonl") == NULL)
                        continue;
                if (!is_listed(entry->d_name))
                        print_error("%s is not in expected\n", entry->d_name);
                assert_true(is_listed(entry->d_name));
        }
        closedir(dir);
}

/* Cause, proof and fix of the founding case, in this order. */
static void the_founding_case_is_told(void **state)
{
        static const char *const order[] = {
                "poetry lock ended with exit status 1",
                "6 requests, 6 good answers",
                "Cause:",
                "Poetry's cache is not writable: /home/u/.cache: Permission denied",
                "200 OK from index.example for GET https://index.example/simple/foo/",
                "mkdir(\"/home/u/.cache/pypoetry\") failed: Permission denied (EACCES)",
                "/home/u/.cache (owner u, mode 0555, you are uid 1000)",
                "connection closed by the client 5 ms after the answer",
                "6 good answers, 6 failed calls like this, 6 connections closed by the client",
                "chmod u+rwx /home/u/.cache",
                "export POETRY_CACHE_DIR=\"${TMPDIR:-/tmp}/poetry-cache-$(id -u)\"",
                "/state/tapline/x.jsonl",
        };
        struct explanation ex = explained("poetry-a-parent-not-writable");
        char *text = reported(&ex, report_text);
        const char *at = text;

        (void)state;
        for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
                contains(at, order[i]);
                at = strstr(at, order[i]);
        }
        free(text);
        explanation_free(&ex);
}

static void the_founding_case_as_json(void **state)
{
        struct explanation ex = explained("poetry-a-parent-not-writable");
        char *text = reported(&ex, report_json);
        json_t *json = json_loads(text, 0, NULL), *first, *summary;

        (void)state;
        assert_non_null(json);
        first = json_array_get(json_object_get(json, "findings"), 0);
        summary = json_object_get(json, "summary");
        assert_string_equal(json_string_value(json_object_get(first, "code")),
                            "cache-not-writable");
        assert_string_equal(json_string_value(json_object_get(first, "severity")), "error");
        assert_true(json_array_size(json_object_get(first, "evidence")) > 3);
        assert_true(json_array_size(json_object_get(json_object_get(first, "remedy"), "commands")) >
                    0);
        assert_int_equal(json_integer_value(json_object_get(summary, "processes")), 1);
        assert_int_equal(json_integer_value(json_object_get(summary, "connections")), 6);
        assert_int_equal(json_integer_value(json_object_get(summary, "requests")), 6);
        assert_int_equal(json_integer_value(json_object_get(summary, "failures")), 6);
        assert_int_equal(json_integer_value(json_object_get(summary, "exit_status")), 1);
        json_decref(json);
        free(text);
        explanation_free(&ex);
}

/* One thing that a record's first finding must say somewhere. */
static void particulars_are_named(void **state)
{
        static const struct {
                const char *record, *text;
        } cases[] = {
                {"poetry-a-parent-of-root", "sudo chown -R \"$(id -u):$(id -g)\" /home/u/.cache"},
                {"poetry-a-with-probe", "mkdir(\"/home/u/.cache/pypoetry\") failed"},
                {"poetry-a-with-probe", "6 failed calls like this"},
                {"poetry-a-variable", "have who looks after /srv/build make it writable"},
                {"poetry-config-moved-cache", "export POETRY_CACHE_DIR="},
                {"poetry-b-http-of-other-user", "tried no connection at all"},
                {"poetry-b-http-of-other-user", "(owner root, mode 0700, you are uid 1000)"},
                {"poetry-c-read-only", "is mounted read-only"},
                {"poetry-d-disk-full", "0 bytes and 100 inodes free"},
                {"poetry-d-quota", "quota of uid 1000"},
                {"poetry-e-stale-lock", "The lock file /home/u/.cache/pypoetry/"},
                {"poetry-e-stale-lock", "belongs to root"},
                {"poetry-g-no-inodes", "1044480 bytes and 0 inodes free"},
                {"real-quota-exceeded", "(btrfs): 49082368 bytes free"},
                {"poetry-h-file-in-the-way", "mv /home/u/.cache/pypoetry/cache/repositories "},
                {"npm-cache-not-writable", "export npm_config_cache="},
                {"npm-cache-not-writable", "_cacache/tmp"},
                {"maven-repository-not-writable",
                 "export MAVEN_OPTS=\"${MAVEN_OPTS:+$MAVEN_OPTS }-Dmaven.repo.local="},
                {"disk-full-temporary", "export TMPDIR=\"/var/tmp/"},
                {"proxy-auth-required",
                 "export https_proxy=http://USER:PASSWORD@proxy.example:3128"},
                {"proxy-auth-rejected",
                 "tapline run --upstream http://USER:PASSWORD@proxy.example:3128 -- curl -sS "},
                {"proxy-refused-tunnel", "403 Forbidden"},
                {"proxy-unreachable", "proxy.example:3128"},
                {"one-bad-host", "bad.example:443 refuses connections."},
                {"origin-untrusted", "issued by CN = Example Corp Root"},
                {"client-distrusts-tapline", "tapline run --inspect=never -- curl"},
                {"uncovered-and-failed", "/usr/bin/go (static)"},
                {"lost-relay", "relay ended before the command"},
                {"failed-for-reasons-of-its-own", "open(\"/home/u/project/out.txt\") failed"},
                {"worked-pip-without-cache",
                 "1 program could not be watched: /usr/bin/ping (capabilities);"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct explanation ex = explained(cases[i].record);
                char *text = reported(&ex, report_text);

                contains(text, cases[i].text);
                free(text);
                explanation_free(&ex);
        }
}

static void a_run_that_worked_takes_one_line(void **state)
{
        struct explanation ex = explained("worked");
        char *text = reported(&ex, report_text);

        (void)state;
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        free(text);
        explanation_free(&ex);
}

/* -- records that nobody wrote like this */

static json_t *wrong_value(size_t i)
{
        switch (i) {
        case 0:
                return NULL; /* the field is missing */
        case 1:
                return json_null();
        case 2:
                return json_integer(-9223372036854775807LL);
        case 3:
                return json_string("");
        case 4:
                return json_string("x\033[31m\xc2\x9b%s%n");
        case 5:
                return json_pack("[[], {}, n, [s], i]", "x", 1);
        case 6:
                return json_pack("{s:[i], s:n}", "HOME", 1, "x");
        default:
                return json_real(1e300);
        }
}

/* The events of a record with one field of each event missing or of another type. */
static void explain_damaged(const struct record_events *events, const char *field, size_t wrong)
{
        struct record_events damaged = {.count = events->count};
        struct explanation ex;

        damaged.items = calloc(events->count, sizeof *damaged.items);
        assert_non_null(damaged.items);
        for (size_t i = 0; i < events->count; i++) {
                json_t *value = wrong_value(wrong);

                damaged.items[i] = json_copy(events->items[i]);
                if (value != NULL)
                        json_object_set_new(damaged.items[i], field, value);
                else
                        json_object_del(damaged.items[i], field);
        }
        assert_int_equal(explain(&damaged, catalogue, &ex), 0);
        for (size_t i = 0; i < ex.finding_count; i++)
                assert_non_null(ex.findings[i].summary);
        free(reported(&ex, report_text));
        free(reported(&ex, report_json));
        explanation_free(&ex);
        record_events_free(&damaged);
}

static void damage_record(const char *name)
{
        static const char *const fields[] = {
                "pid",          "ppid",        "exe",      "argv",          "flow",
                "request",      "name",        "address",  "addresses",     "port",
                "host",         "via",         "result",   "stage",         "errno",
                "error",        "status",      "reason",   "url",           "method",
                "headers",      "call",        "path",     "path2",         "intent",
                "uid",          "ancestor",    "blocked",  "owner",         "mode",
                "type",         "mount",       "fstype",   "free_bytes",    "free_inodes",
                "count",        "time",        "event",    "command",       "cwd",
                "home",         "environment", "first",    "side",          "verify",
                "alert",        "sni",         "signal",   "duration_ms",   "target",
                "proxy_status", "proxy_body",  "upstream", "upstream_from", "credentials",
        };
        struct record_events events;
        char path[256];

        snprintf(path, sizeof path, RECORDS "%s.jsonl", name);
        assert_int_equal(record_read(path, &events), 0);
        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
                for (size_t wrong = 0; wrong < 8; wrong++)
                        explain_damaged(&events, fields[i], wrong);
        record_events_free(&events);
}

static void damaged_records_do_no_harm(void **state)
{
        static const char *const names[] = {
                "poetry-a-parent-not-writable",
                "poetry-e-stale-lock",
                "poetry-d-disk-full",
                "poetry-h-file-in-the-way",
                "maven-repository-not-writable",
                "name-not-found",
                "connection-refused",
                "proxy-auth-required",
                "client-own-proxy-407",
                "proxy-refused-tunnel",
                "origin-untrusted",
                "client-distrusts-tapline",
                "client-gave-up-after-success",
                "uncovered-and-failed",
                "relay-mode-407",
        };

        (void)state;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
                damage_record(names[i]);
}

static void without_a_catalogue_there_is_still_a_report(void **state)
{
        struct record_events events;
        struct explanation ex;

        (void)state;
        assert_int_equal(record_read(RECORDS "poetry-a-parent-not-writable.jsonl", &events), 0);
        assert_int_equal(explain(&events, NULL, &ex), 0);
        free(reported(&ex, report_text));
        explanation_free(&ex);
        record_events_free(&events);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(explains_each_record),
                cmocka_unit_test(no_record_is_forgotten),
                cmocka_unit_test(the_founding_case_is_told),
                cmocka_unit_test(the_founding_case_as_json),
                cmocka_unit_test(particulars_are_named),
                cmocka_unit_test(a_run_that_worked_takes_one_line),
                cmocka_unit_test(damaged_records_do_no_harm),
                cmocka_unit_test(without_a_catalogue_there_is_still_a_report),
        };

        return cmocka_run_group_tests_name("explain", tests, load_catalogue, free_catalogue);
}
