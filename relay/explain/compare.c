/* Two records, fact by fact: see compare.h. What is different in every run (times, ports of
 * clients, numbers of processes, names of temporary files) is in no fact. */
#include "explain/compare.h"
#include "explain/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct topic_kind topic_kinds[TOPIC_COUNT] = {
        [TOPIC_END] = {"end", "How it ended", true},
        [TOPIC_FINDING] = {"finding", "Findings", true},
        [TOPIC_SETTING] = {"setting", "Settings and environment", false},
        [TOPIC_LOOKUP] = {"lookup", "Names looked up", true},
        [TOPIC_ADDRESS] = {"address", "Addresses", false},
        [TOPIC_WAY] = {"way", "Ways out", true},
        [TOPIC_CONNECTION] = {"connection", "Connections", true},
        [TOPIC_STATUS] = {"status", "Answers", true},
        [TOPIC_FILE] = {"file", "Failed file calls", true},
        [TOPIC_UNCOVERED] = {"uncovered", "Programs that could not be watched", true},
        [TOPIC_TIME] = {"time", "Times", false},
};

/* A time is told if one is so many times the other, and so much longer. */
enum { SLOWER_TIMES = 3, SLOWER_MS = 500 };

struct fact {
        char *id; /* owned: topic and key */
        enum topic topic;
        const char *key;          /* in id */
        struct text_list side[2]; /* owned */
        double sum_ms[2];         /* of TOPIC_TIME */
        size_t times[2];
        UT_hash_handle hh;
};

struct comparison {
        struct fact *facts;
        int side; /* of the record that is being read */
        bool oom;
};

static struct fact *fact_of(struct comparison *c, enum topic topic, const char *key)
{
        struct fact *fact = NULL;
        char *id = text_format("%02d%s", (int)topic, key);

        if (id != NULL)
                HASH_FIND_STR(c->facts, id, fact);
        if (fact != NULL) {
                free(id);
                return fact;
        }
        fact = calloc(1, sizeof *fact);
        if (fact != NULL && id != NULL) {
                *fact = (struct fact){.id = id, .topic = topic, .key = id + 2};
                HASH_ADD_KEYPTR(hh, c->facts, fact->id, strlen(fact->id), fact);
                if (fact->hh.tbl != NULL)
                        return fact;
        }
        c->oom = true;
        free(id);
        free(fact);
        return NULL;
}

static void add(struct comparison *c, enum topic topic, const char *key, const char *value)
{
        struct fact *fact = key != NULL && value != NULL ? fact_of(c, topic, key) : NULL;

        if (fact != NULL)
                text_add_once(&fact->side[c->side], value);
}

static void add_ms(struct comparison *c, const char *key, const json_t *event, const char *field)
{
        const json_t *value = json_object_get(event, field);
        struct fact *fact =
                key != NULL && json_is_number(value) ? fact_of(c, TOPIC_TIME, key) : NULL;

        if (fact == NULL)
                return;
        fact->sum_ms[c->side] += json_number_value(value);
        fact->times[c->side]++;
}

static void take_start(struct comparison *c, const json_t *event)
{
        static const char *const fields[] = {"version", "upstream", "inspect", "umask", "cwd"};
        const char *name;
        json_t *value;
        char uid[24];

        for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
                add(c, TOPIC_SETTING, fields[i], event_get_str(event, fields[i]));
        snprintf(uid, sizeof uid, "%lld", (long long)event_get_int(event, "uid", -1));
        add(c, TOPIC_SETTING, "uid", uid);
        json_object_foreach (json_object_get(event, "environment"), name, value) {
                char *key = text_format("$%s", name);

                add(c, TOPIC_SETTING, key, json_string_value(value));
                free(key);
        }
}

static void take_end(struct comparison *c, const json_t *event)
{
        const char *signal = event_get_str(event, "signal");
        char *value = signal != NULL ? text_format("ended by %s", signal)
                                     : text_format("exit status %lld",
                                                   (long long)event_get_int(event, "status", -1));

        add(c, TOPIC_END, "the command", value);
        add_ms(c, "the run", event, "duration_ms");
        free(value);
}

static void take_lookup(struct comparison *c, const json_t *event)
{
        const json_t *addresses = json_object_get(event, "addresses");
        const char *name = event_get_str(event, "name");

        add(c, TOPIC_LOOKUP, name, event_get_str(event, "result"));
        for (size_t i = 0; i < json_array_size(addresses); i++)
                add(c, TOPIC_ADDRESS, name, json_string_value(json_array_get(addresses, i)));
}

static void take_upstream(struct comparison *c, const json_t *event)
{
        const char *host = event_get_str(event, "host"), *error = event_get_str(event, "errno");
        char *key = host != NULL ? text_endpoint(host, event_get_int(event, "port", 0)) : NULL;
        int64_t status = event_get_int(event, "proxy_status", 0);
        char *failed = status > 0 ? text_format("the proxy answers %lld", (long long)status)
                                  : text_format("failed: %s", text_errno(error));
        char *time = key != NULL ? text_format("connecting to %s", key) : NULL;

        add(c, TOPIC_WAY, key, event_get_str(event, "via"));
        add(c, TOPIC_CONNECTION, key,
            event_field_is(event, "result", "failed") ? failed : "connected");
        add_ms(c, time, event, "duration_ms");
        free(time);
        free(failed);
        free(key);
}

/* "https://index.example" out of a URL. */
static char *origin_of(const char *url)
{
        const char *host = url != NULL ? strstr(url, "://") : NULL;

        return host != NULL ? strndup(url, (size_t)(host - url) + 3 + strcspn(host + 3, "/?#"))
                            : NULL;
}

static void take_response(struct comparison *c, const json_t *event)
{
        char *origin = origin_of(event_get_str(event, "url"));
        char *time = origin != NULL ? text_format("answers of %s", origin) : NULL;
        char status[24];

        snprintf(status, sizeof status, "%lld", (long long)event_get_int(event, "status", 0));
        add(c, TOPIC_STATUS, origin, status);
        add_ms(c, time, event, "wait_ms");
        free(time);
        free(origin);
}

/* By the directory that refused, or that of the file: names of temporary files are new each time.
 */
static void take_file(struct comparison *c, const json_t *event)
{
        const char *path = event_get_str(event, "blocked"), *call = event_get_str(event, "call");
        char *dir = strdup(path != NULL ? path : ""), *value;

        if (path == NULL && (path = event_get_str(event, "path")) != NULL) {
                free(dir);
                dir = strndup(path, (size_t)(text_base(path) - path));
        }
        value = text_format("%s: %s", call != NULL ? call : "?",
                            text_errno(event_get_str(event, "errno")));
        add(c, TOPIC_FILE, dir != NULL && *dir != '\0' ? dir : "no file", value);
        free(value);
        free(dir);
}

static void take_uncovered(struct comparison *c, const json_t *event)
{
        add(c, TOPIC_UNCOVERED, event_get_str(event, "target"), event_get_str(event, "reason"));
}

static const struct {
        const char *kind;
        void (*take)(struct comparison *c, const json_t *event);
} takers[] = {
        {"run.start", take_start},
        {"run.end", take_end},
        {"name.lookup", take_lookup},
        {"upstream", take_upstream},
        {"http.response", take_response},
        {"file.failure", take_file},
        {"process.uncovered", take_uncovered},
};

static void take(struct comparison *c, const struct compared *run)
{
        for (size_t i = 0; i < run->events->count; i++)
                for (size_t k = 0; k < sizeof takers / sizeof takers[0]; k++)
                        if (event_is(run->events->items[i], takers[k].kind))
                                takers[k].take(c, run->events->items[i]);
        if (!run->ex->summary.ended)
                add(c, TOPIC_END, "the command", "no end in the record");
        for (size_t i = 0; i < run->ex->finding_count; i++)
                add(c, TOPIC_FINDING, run->ex->findings[i].code, run->ex->findings[i].summary);
}

static int by_text(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool same(const struct text_list *a, const struct text_list *b)
{
        if (a->count != b->count)
                return false;
        for (size_t i = 0; i < a->count; i++)
                if (strcmp(a->items[i], b->items[i]) != 0)
                        return false;
        return true;
}

/* Means of times that differ much become values; others are left without, and so are the same. */
static void settle_times(struct fact *fact)
{
        double mean[2];

        if (fact->times[0] == 0 || fact->times[1] == 0)
                return;
        for (int i = 0; i < 2; i++)
                mean[i] = fact->sum_ms[i] / (double)fact->times[i];
        for (int i = 0; i < 2; i++)
                if (mean[i] >= mean[1 - i] * SLOWER_TIMES && mean[i] - mean[1 - i] >= SLOWER_MS) {
                        text_add(&fact->side[0], "%.0f ms", mean[0]);
                        text_add(&fact->side[1], "%.0f ms", mean[1]);
                        return;
                }
}

static int by_topic_and_key(const struct fact *a, const struct fact *b)
{
        return strcmp(a->id, b->id);
}

static void free_fact(struct comparison *c, struct fact *fact)
{
        HASH_DEL(c->facts, fact);
        text_list_fini(&fact->side[0]);
        text_list_fini(&fact->side[1]);
        free(fact->id);
        free(fact);
}

/* Move what differs out, and free all. */
static int settle(struct comparison *c, struct differences *out)
{
        struct fact *fact, *next;

        HASH_SORT(c->facts, by_topic_and_key);
        out->items = calloc(HASH_COUNT(c->facts) + 1, sizeof *out->items);
        HASH_ITER(hh, c->facts, fact, next)
        {
                struct difference *d = out->items != NULL ? &out->items[out->count] : NULL;

                settle_times(fact);
                for (int i = 0; i < 2; i++) {
                        c->oom = c->oom || fact->side[i].oom;
                        if (fact->side[i].count > 1)
                                qsort(fact->side[i].items, fact->side[i].count, sizeof(char *),
                                      by_text);
                }
                if (d != NULL && !same(&fact->side[0], &fact->side[1])) {
                        *d = (struct difference){
                                fact->topic, strdup(fact->key), {fact->side[0], fact->side[1]}};
                        memset(fact->side, 0, sizeof fact->side);
                        c->oom = c->oom || d->key == NULL;
                        out->matter = out->matter || topic_kinds[d->topic].matters;
                        out->count++;
                }
                free_fact(c, fact);
        }
        return c->oom || out->items == NULL ? -ENOMEM : 0;
}

int compare(const struct compared runs[2], struct differences *out)
{
        struct comparison c = {0};

        *out = (struct differences){0};
        for (c.side = 0; c.side < 2; c.side++)
                take(&c, &runs[c.side]);
        return settle(&c, out);
}

void differences_free(struct differences *differences)
{
        for (size_t i = 0; i < differences->count; i++) {
                free(differences->items[i].key);
                text_list_fini(&differences->items[i].side[0]);
                text_list_fini(&differences->items[i].side[1]);
        }
        free(differences->items);
        *differences = (struct differences){0};
}
