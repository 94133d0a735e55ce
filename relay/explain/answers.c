/* What became of each thing that was asked for: see answers.h. */
#include "explain/answers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *answers_header(const json_t *event, const char *name)
{
        const json_t *headers = json_object_get(event, "headers");

        for (size_t i = 0; i < json_array_size(headers); i++) {
                const json_t *pair = json_array_get(headers, i);
                const char *key = json_string_value(json_array_get(pair, 0));

                if (key != NULL && strcasecmp(key, name) == 0)
                        return json_string_value(json_array_get(pair, 1));
        }
        return NULL;
}

const char *answers_url(const struct facts *facts, const json_t *event)
{
        const char *url = event_get_str(event, "url");

        return url != NULL ? url : event_get_str(facts_request(facts, event), "url");
}

/* Tokens in a query change from attempt to attempt. */
static char *key_of_url(const char *url)
{
        return strndup(url, strcspn(url, "?#"));
}

/* "grove" of ".../simple/grove/", "grove-1.0.whl" of ".../grove-1.0.whl.metadata". Servers and
 * clients write the same name in upper or lower case. */
static char *key_of_name(const char *url)
{
        char *text = key_of_url(url), *key;
        size_t len = text != NULL ? strlen(text) : 0;
        const char *suffix = ".metadata";

        if (text == NULL)
                return NULL;
        while (len > 0 && text[len - 1] == '/')
                text[--len] = '\0';
        if (len > strlen(suffix) && strcmp(text + len - strlen(suffix), suffix) == 0)
                text[len - strlen(suffix)] = '\0';
        key = strdup(text_base(text));
        free(text);
        for (char *c = key; c != NULL && *c != '\0'; c++)
                *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        return key;
}

static struct answer *entry_of(struct answers *answers, struct answer **all, char *key)
{
        struct answer *a = NULL;

        if (key != NULL)
                HASH_FIND_STR(*all, key, a);
        if (a != NULL) {
                free(key);
                return a;
        }
        a = key != NULL ? calloc(1, sizeof *a) : NULL;
        if (a != NULL) {
                a->key = key;
                a->good_us = a->whole_us = -1;
                HASH_ADD_KEYPTR(hh, *all, a->key, strlen(a->key), a);
                if (a->hh.tbl != NULL)
                        return a;
        }
        answers->oom = true;
        free(a);
        free(key);
        return NULL;
}

/* Parts of a file are asked for one after the other, which is no repetition. */
static void note_request(struct answer *a, const json_t *event)
{
        if (answers_header(event, "Range") != NULL)
                return;
        a->first = a->first != NULL ? a->first : event;
        a->last = event;
        a->requests++;
}

static void note(struct answer *a, const json_t *event)
{
        int64_t status = event_get_int(event, "status", 0), time_us = event_get_time_us(event);
        bool redirect = status >= 300 && status < 400 && answers_header(event, "Location") != NULL;
        bool body = event_is(event, "http.body");

        if (a == NULL)
                return;
        if (event_is(event, "http.request"))
                note_request(a, event);
        else if (body && event_get_bool(event, "complete", false) && status < 400)
                a->whole_us = time_us;
        else if (!body && (status == 404 || status == 410))
                a->absences++;
        else if (!body && redirect)
                a->redirects++;
        else if (!body && status >= 200 && status < 400)
                a->good_us = time_us;
}

void answers_init(struct answers *answers, const struct facts *facts)
{
        *answers = (struct answers){0};
        for (size_t i = 0; i < facts->events->count; i++) {
                const json_t *event = facts->events->items[i];
                const char *url;

                if (!event_is(event, "http.request") && !event_is(event, "http.response") &&
                    !event_is(event, "http.body"))
                        continue;
                url = answers_url(facts, event);
                if (url == NULL)
                        continue;
                note(entry_of(answers, &answers->urls, key_of_url(url)), event);
                note(entry_of(answers, &answers->names, key_of_name(url)), event);
        }
}

static void clear(struct answer **all)
{
        struct answer *a, *next;

        HASH_ITER(hh, *all, a, next)
        {
                HASH_DEL(*all, a);
                free(a->key);
                free(a);
        }
}

void answers_fini(struct answers *answers)
{
        clear(&answers->urls);
        clear(&answers->names);
}

static const struct answer *find(const struct answer *all, char *key)
{
        const struct answer *a = NULL;

        if (key != NULL)
                HASH_FIND_STR(all, key, a);
        free(key);
        return a;
}

const struct answer *answers_of_url(const struct answers *answers, const char *url)
{
        return url != NULL ? find(answers->urls, key_of_url(url)) : NULL;
}

const struct answer *answers_of_name(const struct answers *answers, const char *url)
{
        return url != NULL ? find(answers->names, key_of_name(url)) : NULL;
}

bool answers_same_name(const char *url, const char *other)
{
        char *one = key_of_name(url), *two = key_of_name(other);
        bool same = one != NULL && two != NULL && strcmp(one, two) == 0;

        free(one);
        free(two);
        return same;
}
