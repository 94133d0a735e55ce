/* The inside of a struct trust, shared by trust.c (what is chosen) and trust_export.c (what is
 * written). Nobody else includes this. */
#ifndef INSPECT_TRUST_TABLE_H
#define INSPECT_TRUST_TABLE_H

#include "inspect/bundle.h"
#include "inspect/trust.h"

#include <stdbool.h>

enum variable_rule {
        ALWAYS,    /* replaces the client's roots: its own, or those of its fallbacks, and ours */
        ADDS,      /* adds to the client's roots: its own file, if any, and ours alone */
        IF_SET,    /* as ALWAYS, but only where the user has set it to a file */
        WGET_FILE, /* a wgetrc(5): the user's own lines, then ca_certificate */
        APT_FILE,  /* an apt.conf(5): includes the user's own, then CaInfo */
        JAVA, /* options for Java: a store of its roots and ours, then the user's own options */
        JAVA_MORE, /* the same, but only added to what the user has set: Java prints it */
};

struct variable {
        const char *name; /* a trailing and a leading part around one '*' */
        enum variable_rule rule;
        const char *fallbacks[3]; /* what the client reads when this one is not set, in order */
};

enum { CHOICES_CAP = 64 }; /* the table, and as many of the user's own Poetry repositories as fit */

/* Roots as one or more clients have them. */
struct source {
        struct source *next;
        char *path; /* owned; "" is the system's, NULL adds nothing to ours */
        bool java;  /* path is a store of Java's, and so is what is written of it */
        struct bundle bundle;
};

/* A variable that will be set in the child. */
struct choice {
        const struct variable *variable;
        char *name;            /* owned */
        char *users;           /* owned: the user's own wgetrc, apt.conf or options, or NULL */
        struct source *source; /* borrowed from the list */
};

struct trust {
        struct source *sources; /* owned */
        struct choice choices[CHOICES_CAP];
        size_t choice_count;
        char *hashed_dir;  /* owned: the user's SSL_CERT_DIR, or NULL */
        X509_STORE *store; /* owned; NULL until asked for */
        char problem[256]; /* the first one */
};

#endif
