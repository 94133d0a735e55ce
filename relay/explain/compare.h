/* What differs between two runs: each record is boiled down to facts (a topic, a key, a set of
 * values), and the facts are compared. Used by `tapline diff`. */
#ifndef EXPLAIN_COMPARE_H
#define EXPLAIN_COMPARE_H

#include "explain/explain.h"
#include "explain/text.h"

/* In the order in which they are shown. */
enum topic {
        TOPIC_END,
        TOPIC_FINDING,
        TOPIC_SETTING,
        TOPIC_LOOKUP,
        TOPIC_ADDRESS,
        TOPIC_WAY,
        TOPIC_CONNECTION,
        TOPIC_STATUS,
        TOPIC_FILE,
        TOPIC_UNCOVERED,
        TOPIC_TIME,
        TOPIC_COUNT
};

struct topic_kind {
        const char *name;    /* in JSON: "way" */
        const char *heading; /* for a person: "Ways out" */
        bool matters;        /* two runs that differ in this are not the same */
};

extern const struct topic_kind topic_kinds[TOPIC_COUNT];

struct difference {
        enum topic topic;
        char *key;                /* owned */
        struct text_list side[2]; /* owned; what the first and the second record have, sorted */
};

struct differences {
        struct difference *items; /* owned; by topic, then key */
        size_t count;
        bool matter; /* one of them is of a topic that matters */
};

struct compared {
        const char *path; /* borrowed */
        const struct record_events *events;
        const struct explanation *ex;
};

/* Returns 0 or -ENOMEM. differences_free in either case. */
int compare(const struct compared runs[2], struct differences *out);
void differences_free(struct differences *differences);

/* Reports; 0 or -errno of writing. */
int compare_text(const struct compared runs[2], const struct differences *differences, FILE *out);
int compare_json(const struct compared runs[2], const struct differences *differences, FILE *out);

#endif
