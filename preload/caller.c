/* Finds the functions of a caller's own library; see caller.h. The table is a cache of the
 * linker's answers. It does not hear of dlclose(3): a program that unloads its libssl and loads
 * another to the very same address would be given the old one's. */
#include "caller.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SITES = 512, PROBES = 32 };

/* `address` is stored last, with release order. One call instruction may reach several hooks, by
 * way of a pointer. */
static struct site {
        _Atomic(void *) address;
        const char *name;
        void *function;
} sites[SITES];

/* Claims a slot; no call site is there. */
static void *const CLAIMED = (void *)1;

extern const char ours_begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char ours_end[] __asm__("_end") __attribute__((visibility("hidden")));

static bool is_ours(const void *function)
{
        return (const char *)function >= ours_begin && (const char *)function < ours_end;
}

static void *find_in(const struct link_map *map, const char *name)
{
        void *handle, *found;

        if (map->l_name == NULL || map->l_name[0] == '\0')
                return NULL;
        handle = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
        if (handle == NULL)
                return NULL;
        found = dlsym(handle, name);
        dlclose(handle);
        return is_ours(found) ? NULL : found;
}

/* As the object of address sees it: the main program's scope begins with our own library, so there
 * RTLD_NEXT is right. The last resort is whoever has it: a wrapper that ends in a jump leaves an
 * address of its own caller, which may not be linked to the library at all. */
static void *search(void *address, const char *name)
{
        struct link_map *map = NULL;
        Dl_info info;
        void *found = NULL;

        if (dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) != 0 && map != NULL)
                found = find_in(map, name);
        if (found == NULL)
                found = dlsym(RTLD_NEXT, name);
        for (; found == NULL && map != NULL && map->l_prev != NULL; map = map->l_prev)
                ;
        for (; found == NULL && map != NULL; map = map->l_next)
                if (map->l_ld != _DYNAMIC)
                        found = find_in(map, name);
        return found;
}

static void keep(size_t slot, void *address, const char *name, void *function)
{
        for (size_t i = 0; i < PROBES; i++) {
                struct site *s = &sites[(slot + i) % SITES];
                void *none = NULL;

                /* Claimed with a value that matches no caller until the function is stored. */
                if (!atomic_compare_exchange_strong(&s->address, &none, CLAIMED))
                        continue;
                s->name = name;
                s->function = function;
                atomic_store_explicit(&s->address, address, memory_order_release);
                return;
        }
}

void *caller_find(void *address, const char *name)
{
        size_t slot = (((uintptr_t)address >> 2) ^ ((uintptr_t)name << 3)) % SITES;
        int saved = errno;
        void *found;

        for (size_t i = 0; i < PROBES; i++) {
                struct site *s = &sites[(slot + i) % SITES];
                void *at = atomic_load_explicit(&s->address, memory_order_acquire);

                if (at == address && s->name == name)
                        return s->function;
                if (at == NULL)
                        break;
        }
        found = search(address, name);
        keep(slot, address, name, found); /* a full table only costs time */
        errno = saved;
        return found;
}
