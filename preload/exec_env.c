/* The environment that a new program gets; see exec_env.h. Strings are copied at the start, because
 * programs write their title over the place where the kernel put them. */
#include "exec_env.h"
#include "sys.h"
#include "text.h"
#include "tapline_names.h"
#include "tapline_program.h"

#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define PRELOAD "LD_PRELOAD="

enum {
        SAVED_MAX = 64,
        TEXT_MAX = 16384 +
                   PATH_MAX, /* untouched pages cost nothing, but the first touch of one does */
};

struct saved {
        const char *text; /* NAME=VALUE, in texts */
        size_t name_len;  /* with the '=' */
};

/* Written by the constructor, then read-only. The first own_count are our own variables, the rest
 * what TAPLINE_KEEP names. */
static char texts[TEXT_MAX];
static size_t texts_len;
static struct saved saved[SAVED_MAX];
static size_t saved_count, own_count;
static const char *library; /* absolute, in texts; NULL: not known, then nothing is put back */
static const char *library_name;

static bool starts(const char *text, const char *with)
{
        return strncmp(text, with, strlen(with)) == 0;
}

/* ---- at the start ---- */

static bool is_saved(const char *name, size_t len)
{
        for (size_t i = 0; i < saved_count; i++)
                if (saved[i].name_len == len + 1 && memcmp(saved[i].text, name, len) == 0)
                        return true;
        return false;
}

static void save(const char *entry, size_t name_len)
{
        size_t size = strlen(entry) + 1;

        if (size > sizeof texts - texts_len || saved_count == SAVED_MAX ||
            is_saved(entry, name_len))
                return;
        memcpy(texts + texts_len, entry, size);
        saved[saved_count++] = (struct saved){texts + texts_len, name_len + 1};
        texts_len += size;
}

/* All with our prefix, those too that stand for options: a tapline that is started inside reads
 * them. */
static void save_own(void)
{
        for (char **e = environ; e != NULL && *e != NULL; e++) {
                const char *end =
                        (*e)[0] == 'T' && starts(*e, TAPLINE_ENV_PREFIX) ? strchr(*e, '=') : NULL;

                if (end != NULL)
                        save(*e, (size_t)(end - *e));
        }
        own_count = saved_count;
}

static void save_named(const char *name, size_t len)
{
        for (char **e = environ; e != NULL && *e != NULL; e++)
                if ((*e)[0] == name[0] && strncmp(*e, name, len) == 0 && (*e)[len] == '=')
                        save(*e, len);
}

static void save_kept(const char *list)
{
        while (list != NULL && *list != '\0') {
                const char *end = strchr(list, ':');
                size_t len = end != NULL ? (size_t)(end - list) : strlen(list);

                if (len > 0)
                        save_named(list, len);
                list = end != NULL ? end + 1 : NULL;
        }
}

/* Ours begins where the file does. (dladdr(3) goes on to look all symbols through.) */
static int is_library(struct dl_phdr_info *info, size_t size, void *name)
{
        extern const char begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));

        (void)size;
        if (info->dlpi_addr != (ElfW(Addr))(uintptr_t)begin)
                return 0;
        *(const char **)name = info->dlpi_name;
        return 1;
}

/* The linker's name for us, made absolute: a later program may have another working directory. */
static void find_library(void)
{
        const char *name = NULL;
        size_t used = 0, len;

        if (dl_iterate_phdr(is_library, &name) == 0 || name == NULL)
                return;
        len = strlen(name);
        if (name[0] != '/') {
                long n = sys(SYS_getcwd, texts, PATH_MAX, 0); /* its length with the NUL */

                if (n <= 1)
                        return;
                used = (size_t)n;
        }
        /* With a separator in it no LD_PRELOAD can name it. */
        if (used + len >= PATH_MAX || strchr(name, ':') != NULL || strchr(name, ' ') != NULL)
                return;
        memcpy(texts + used, name, len + 1);
        if (used > 0) {
                texts[0] = '/';
                texts[used - 1] = '/';
        }
        texts_len = used + len + 1;
        library = texts;
        library_name = text_base(library);
}

void exec_env_save(void)
{
        find_library();
        save_own();
        save_kept(exec_env_saved(TAPLINE_ENV_KEEP));
}

const char *exec_env_saved(const char *name)
{
        size_t len = strlen(name);

        for (size_t i = 0; i < saved_count; i++)
                if (saved[i].name_len == len + 1 && memcmp(saved[i].text, name, len) == 0)
                        return saved[i].text + len + 1;
        return NULL;
}

/* ---- before an exec ---- */

_Static_assert(SAVED_MAX <= 64, "present has a bit for each");

/* Mark those of saved[first..end) that entry sets. */
static void mark(struct exec_env *e, const char *entry, size_t first, size_t end)
{
        for (size_t i = first; i < end; i++)
                if (entry[0] == saved[i].text[0] &&
                    strncmp(entry, saved[i].text, saved[i].name_len) == 0)
                        e->present |= UINT64_C(1) << i;
}

/* What TAPLINE_KEEP names is put back only into a cleaned environment: from one that still holds
 * our variables, the program has taken it on purpose. */
static void survey(struct exec_env *e)
{
        if (e->env == NULL)
                return;
        for (; e->env[e->count] != NULL; e->count++) {
                const char *entry = e->env[e->count];

                if (entry[0] == 'L' && starts(entry, PRELOAD)) {
                        e->preload = entry + strlen(PRELOAD);
                        e->preload_at = e->count;
                } else if (entry[0] == 'T' && starts(entry, TAPLINE_ENV_PREFIX)) {
                        e->cleaned = false;
                        mark(e, entry, 0, own_count);
                }
        }
        for (size_t i = 0; e->cleaned && i < e->count; i++)
                mark(e, e->env[i], own_count, saved_count);
}

static bool is_missing(const struct exec_env *e, size_t i)
{
        return (e->present & UINT64_C(1) << i) == 0 && (i < own_count || e->cleaned);
}

/* The next library of LD_PRELOAD's list: colons and blanks separate, ld.so(8). */
static const char *next_item(const char **at, const char *end, size_t *len)
{
        const char *item = *at;

        while (item < end && (*item == ':' || *item == ' '))
                item++;
        for (*at = item; *at < end && **at != ':' && **at != ' ';)
                ++*at;
        *len = (size_t)(*at - item);
        return *len > 0 ? item : NULL;
}

/* By the file's name, so that another build of ours, put there by a tapline inside, counts too. */
static bool is_ours(const char *item, size_t len)
{
        size_t name_len = strlen(library_name);

        return len >= name_len && memcmp(item + len - name_len, library_name, name_len) == 0 &&
               (len == name_len || item[len - name_len - 1] == '/');
}

static bool has_ours(const struct exec_env *e)
{
        const char *at = e->preload, *item;
        size_t len;

        while (at != NULL && (item = next_item(&at, e->preload + e->preload_len, &len)) != NULL)
                if (is_ours(item, len))
                        return true;
        return false;
}

size_t exec_env_look(struct exec_env *e, char *const env[], bool load)
{
        bool complete = true;

        if (library_name == NULL)
                return 0;
        *e = (struct exec_env){.env = env, .cleaned = true, .load = load};
        survey(e);
        e->preload_len = e->preload != NULL ? strlen(e->preload) : 0;
        for (size_t i = 0; i < saved_count && complete; i++)
                complete = !is_missing(e, i);
        if (complete && has_ours(e) == load)
                return 0;
        return (e->count + saved_count + 2) * sizeof(char *) + sizeof PRELOAD + strlen(library) +
               1 + e->preload_len;
}

void *exec_env_map(size_t size)
{
        long at = sys6(SYS_mmap, 0, SYS_LONG(size), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return at < 0 && at > -4096 ? NULL : (void *)at;
}

void exec_env_give(void *room, size_t size)
{
        if (room != NULL && size > EXEC_ENV_ON_STACK)
                sys(SYS_munmap, room, size, 0);
}

static char *put(char *at, const char *text, size_t len)
{
        memcpy(at, text, len);
        return at + len;
}

/* The runtime of AddressSanitizer has to stay the first. */
static bool has_asan(const struct exec_env *e)
{
        const char *at = e->preload, *item;
        size_t len;

        while (at != NULL && (item = next_item(&at, e->preload + e->preload_len, &len)) != NULL) {
                const char *slash = memrchr(item, '/', len);

                if (program_is_asan(slash != NULL ? slash + 1 : item))
                        return true;
        }
        return false;
}

/* LD_PRELOAD with our library in front, what is there behind it; or the other way round. */
static void preload_with(const struct exec_env *e, char *text)
{
        if (has_asan(e)) {
                text = put(text, e->env[e->preload_at], sizeof PRELOAD - 1 + e->preload_len);
                *text++ = ':';
                text = put(text, library, strlen(library));
                *text = '\0';
                return;
        }
        text = put(text, PRELOAD, strlen(PRELOAD));
        text = put(text, library, strlen(library));
        if (e->preload_len > 0) {
                *text++ = ':';
                text = put(text, e->preload, e->preload_len);
        }
        *text = '\0';
}

/* LD_PRELOAD without it. Returns false if nothing is left. */
static bool preload_without(const struct exec_env *e, char *text)
{
        const char *at = e->preload, *item;
        bool first = true;
        size_t len;

        text = put(text, PRELOAD, strlen(PRELOAD));
        while ((item = next_item(&at, e->preload + e->preload_len, &len)) != NULL) {
                if (is_ours(item, len))
                        continue;
                if (!first)
                        *text++ = ':';
                text = put(text, item, len);
                first = false;
        }
        *text = '\0';
        return !first;
}

/* The entry for LD_PRELOAD, in text where it differs from what env has. NULL: none is to be. */
static char *preload_entry(const struct exec_env *e, char *text)
{
        if (has_ours(e) == e->load)
                return e->preload != NULL ? e->env[e->preload_at] : NULL;
        if (e->load) {
                preload_with(e, text);
                return text;
        }
        return preload_without(e, text) ? text : NULL;
}

char **exec_env_build(const struct exec_env *e, void *room)
{
        char **list = room, *preload;
        size_t n = 0;

        preload = preload_entry(e, (char *)(list + e->count + saved_count + 2));
        for (size_t i = 0; i < e->count; i++)
                if (e->preload == NULL || i != e->preload_at)
                        list[n++] = e->env[i];
        if (preload != NULL)
                list[n++] = preload;
        for (size_t i = 0; i < saved_count; i++)
                if (is_missing(e, i))
                        list[n++] = (char *)saved[i].text;
        list[n] = NULL;
        return list;
}
