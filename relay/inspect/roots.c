/* roots.c: files, directories and certificates that processes have loaded (sources), which of them
 * each process has (a set of bits), and the stores made of them. See roots.h. */
#include "inspect/roots.h"
#include "inspect/anchors.h"
#include "record/hash.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>

enum {
        SOURCES_CAP = 256,
        SET_WORDS = SOURCES_CAP / 64,
        PROCESSES_CAP = 4096,
        STORES_CAP = 32, /* a megabyte each with a system's roots */
        MEMORY_CAP = 1 << 20,
        ANCESTORS = 8,
};

/* A file as it was when it was read; if it has changed since, it is another source. */
struct source {
        enum roots_kind kind;
        char *path; /* owned; NULL for the system's */
        struct stat st;
        struct bundle bundle; /* of files and the system's */
};

struct set {
        uint64_t words[SET_WORDS];
};

/* What a process runs, as far as we may look: `tapline relay`, which confines itself, cannot follow
 * exe. */
struct program {
        struct stat exe; /* st_ino 0: not known */
        char name[64];   /* proc(5)'s comm */
};

struct process {
        pid_t pid;
        struct set set;
        bool told;
        struct program program;  /* that told it */
        unsigned loading;        /* handshakes under way that load roots */
        int64_t loading_from_ms; /* the last of them */
        struct bundle memory;    /* certificates that came one by one */
        X509_STORE *own;         /* owned; of set and memory; NULL: to be made */
        UT_hash_handle hh;
};

struct store {
        struct set set;
        X509_STORE *store; /* owned */
        UT_hash_handle hh;
};

struct roots {
        struct source sources[SOURCES_CAP];
        size_t source_count;
        struct process *processes; /* owned; oldest first */
        struct store *stores;      /* owned; oldest first */
};

struct roots *roots_new(void)
{
        return calloc(1, sizeof(struct roots));
}

static void forget(struct process *p)
{
        bundle_fini(&p->memory);
        X509_STORE_free(p->own);
        p->own = NULL;
        memset(&p->set, 0, sizeof p->set);
        p->told = false;
        p->loading = 0;
}

static void look_at_program(pid_t pid, struct program *program)
{
        char path[40];

        snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
        if (stat(path, &program->exe) < 0)
                program->exe.st_ino = 0;
        snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
        FILE *file = fopen(path, "re");
        if (!file || !fgets(program->name, sizeof program->name, file))
                *program->name = '\0';
        if (file)
                fclose(file);
}

static bool is_other_program(const struct program *a, const struct program *b)
{
        if (a->exe.st_ino && b->exe.st_ino)
                return a->exe.st_ino != b->exe.st_ino || a->exe.st_dev != b->exe.st_dev;
        return strcmp(a->name, b->name) != 0;
}

static void has_told(struct process *p)
{
        if (!p->told)
                look_at_program(p->pid, &p->program);
        p->told = true;
}

static void drop_process(struct roots *r, struct process *p)
{
        HASH_DEL(r->processes, p);
        forget(p);
        free(p);
}

static void drop_store(struct roots *r, struct store *s)
{
        HASH_DEL(r->stores, s);
        X509_STORE_free(s->store);
        free(s);
}

void roots_free(struct roots *r)
{
        if (!r)
                return;
        while (r->processes)
                drop_process(r, r->processes);
        while (r->stores)
                drop_store(r, r->stores);
        for (size_t i = 0; i < r->source_count; i++) {
                free(r->sources[i].path);
                bundle_fini(&r->sources[i].bundle);
        }
        free(r);
}

static struct process *find(struct roots *r, pid_t pid)
{
        struct process *p;

        HASH_FIND_INT(r->processes, &pid, p);
        return p;
}

static struct process *get(struct roots *r, pid_t pid)
{
        struct process *p = find(r, pid);

        if (p)
                return p;
        if (HASH_COUNT(r->processes) >= PROCESSES_CAP)
                drop_process(r, r->processes);
        p = calloc(1, sizeof *p);
        if (!p)
                return NULL;
        p->pid = pid;
        HASH_ADD_INT(r->processes, pid, p);
        if (p->hh.tbl)
                return p;
        free(p);
        return NULL;
}

void roots_begin(struct roots *r, pid_t pid)
{
        struct process *p = get(r, pid);

        if (p)
                forget(p);
}

/* ---- sources ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A directory is looked into when an origin is verified, as OpenSSL does, so its own state does not
 * matter. What cannot be read is an empty source: the program has no roots from there either. */
static bool is_source(const struct source *s, enum roots_kind kind, const char *path,
                      const struct stat *st)
{
        if (s->kind != kind)
                return false;
        if (kind == ROOTS_SYSTEM)
                return true;
        return !strcmp(s->path, path) && (kind == ROOTS_DIRECTORY || same_file(&s->st, st));
}

/* Index of the source, read now if it is new; -1: no room. */
static int source_index(struct roots *r, enum roots_kind kind, const char *path)
{
        struct stat st = {0};

        if (kind == ROOTS_FILE && stat(path, &st) < 0)
                memset(&st, 0, sizeof st);
        for (size_t i = 0; i < r->source_count; i++)
                if (is_source(&r->sources[i], kind, path, &st))
                        return (int)i;
        struct source *s = r->source_count < SOURCES_CAP ? &r->sources[r->source_count] : NULL;
        if (!s)
                return -1;
        *s = (struct source){.kind = kind, .st = st};
        s->path = kind != ROOTS_SYSTEM ? strdup(path) : NULL;
        if (kind != ROOTS_SYSTEM && !s->path)
                return -1;
        if (kind == ROOTS_FILE)
                bundle_add(&s->bundle, path);
        else if (kind == ROOTS_SYSTEM)
                bundle_add_system(&s->bundle);
        return (int)r->source_count++;
}

/* ---- telling ---- */

static bool has_bit(const struct set *set, int i)
{
        return (set->words[i / 64] >> (i % 64)) & 1;
}

static bool add_source(struct roots *r, struct process *p, enum roots_kind kind, const char *path)
{
        int i = source_index(r, kind, path);
        bool first = !p->told;

        has_told(p); /* even if there was no room for it: then it is not accepted */
        if (i < 0 || has_bit(&p->set, i))
                return first;
        p->set.words[i / 64] |= (uint64_t)1 << (i % 64);
        X509_STORE_free(p->own);
        p->own = NULL;
        return true;
}

static bool add_certificate(struct process *p, const char *data, size_t len)
{
        bool first = !p->memory.len;

        has_told(p);
        if (p->memory.len > MEMORY_CAP || bundle_add_bytes(&p->memory, data, len) <= 0)
                return false;
        X509_STORE_free(p->own);
        p->own = NULL;
        return first;
}

bool roots_add(struct roots *r, pid_t pid, enum roots_kind kind, const char *data, size_t len)
{
        struct process *p = get(r, pid);

        if (!p)
                return false;
        return kind == ROOTS_CERTIFICATE ? add_certificate(p, data, len)
                                         : add_source(r, p, kind, data);
}

static int64_t now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void roots_loading(struct roots *r, pid_t pid, bool begins)
{
        struct process *p = get(r, pid);

        if (!p || (!begins && !p->loading))
                return;
        p->loading += begins ? 1 : -1u;
        if (begins)
                p->loading_from_ms = now_ms();
}

bool roots_is_loading(struct roots *r, pid_t pid)
{
        struct process *p = pid > 0 ? find(r, pid) : NULL;

        if (p && p->loading && now_ms() - p->loading_from_ms >= ROOTS_LOADING_MS)
                p->loading = 0; /* it was interrupted, or waits for us in the middle of it */
        return p && p->loading;
}

/* ---- stores ---- */

static void fill(X509_STORE *store, const struct source *s)
{
        if (s->kind != ROOTS_DIRECTORY) {
                anchors_add(store, &s->bundle);
                return;
        }
        X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());
        if (lookup)
                X509_LOOKUP_add_dir(lookup, s->path, X509_FILETYPE_PEM);
        ERR_clear_error();
}

static X509_STORE *store_make(const struct roots *r, const struct set *set,
                              const struct bundle *memory)
{
        X509_STORE *store = X509_STORE_new();

        for (size_t i = 0; store && i < r->source_count; i++)
                if (has_bit(set, (int)i))
                        fill(store, &r->sources[i]);
        if (store && memory)
                anchors_add(store, memory);
        return store;
}

/* The store of a set, which many processes have in common. */
static X509_STORE *shared_store(struct roots *r, const struct set *set)
{
        struct store *s;

        HASH_FIND(hh, r->stores, set, sizeof *set, s);
        if (s)
                return s->store;
        if (HASH_COUNT(r->stores) >= STORES_CAP)
                drop_store(r, r->stores);
        s = calloc(1, sizeof *s);
        if (!s)
                return NULL;
        s->set = *set;
        s->store = store_make(r, set, NULL);
        if (s->store)
                HASH_ADD(hh, r->stores, set, sizeof s->set, s);
        if (s->hh.tbl)
                return s->store;
        X509_STORE_free(s->store);
        free(s);
        return NULL;
}

static pid_t parent_of(pid_t pid)
{
        char path[40], line[512];
        int parent = 0;

        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *file = fopen(path, "re");
        if (!file)
                return 0;
        const char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        if (!end || sscanf(end, ") %*c %d", &parent) != 1)
                parent = 0;
        fclose(file);
        return parent;
}

/* A child of fork(2) has what its parent had loaded. One that runs another program has not, though
 * it may have kept its pid: it began anew with roots_begin, or is out of the library's reach. */
static struct process *speaker_for(struct roots *r, pid_t pid)
{
        struct process *p = find(r, pid);
        struct program program = {0};
        pid_t at = pid;

        for (int i = 0; !p && at > 1 && i < ANCESTORS; i++) {
                at = parent_of(at);
                p = find(r, at);
        }
        if (!p || !p->told)
                return NULL;
        look_at_program(pid, &program);
        return is_other_program(&program, &p->program) ? NULL : p;
}

X509_STORE *roots_store(struct roots *r, pid_t pid)
{
        struct process *p = pid > 0 ? speaker_for(r, pid) : NULL;

        if (!p)
                return NULL;
        if (!p->memory.len)
                return shared_store(r, &p->set);
        if (!p->own)
                p->own = store_make(r, &p->set, &p->memory);
        return p->own;
}
