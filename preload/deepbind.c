/* Leads the calls of libraries that are loaded with RTLD_DEEPBIND to our functions; see deepbind.h.
 * The flag is the program's and stays: its libraries find their own symbols first. What is changed
 * is data: the slots (.got) in which the linker keeps the addresses of functions of others, and of
 * these only such as hold the very address that our function goes on to. A slot that leads
 * elsewhere is left. */
#include "deepbind.h"
#include "real.h"
#include "sys.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#if defined(__x86_64__)
enum { SLOT_CALL = R_X86_64_JUMP_SLOT, SLOT_DATA = R_X86_64_GLOB_DAT };
#elif defined(__aarch64__)
enum { SLOT_CALL = R_AARCH64_JUMP_SLOT, SLOT_DATA = R_AARCH64_GLOB_DAT };
#endif

/* A loaded object, as its dynamic section describes it. */
struct object {
        uintptr_t begin, end; /* of what is mapped */
        uintptr_t relro, relro_end;
        uintptr_t base;
        const ElfW(Sym) * symbols;
        const char *strings;
        const uint32_t *hash; /* DT_GNU_HASH; NULL: none */
        const ElfW(Rela) * calls, *others;
        size_t calls_size, others_size;
};

/* ---- reading objects ---- */

/* The linker adds the base to these addresses, but for objects whose dynamic section cannot be
 * written. */
static uintptr_t address(const struct object *o, ElfW(Addr) value)
{
        return value < o->base ? o->base + value : value;
}

static void read_dynamic(struct object *o, const ElfW(Dyn) * dynamic)
{
        for (; dynamic->d_tag != DT_NULL; dynamic++) {
                uintptr_t at = address(o, dynamic->d_un.d_ptr);

                switch (dynamic->d_tag) {
                case DT_SYMTAB:
                        o->symbols = (void *)at;
                        break;
                case DT_STRTAB:
                        o->strings = (void *)at;
                        break;
                case DT_GNU_HASH:
                        o->hash = (void *)at;
                        break;
                case DT_JMPREL:
                        o->calls = (void *)at;
                        break;
                case DT_PLTRELSZ:
                        o->calls_size = dynamic->d_un.d_val;
                        break;
                case DT_RELA:
                        o->others = (void *)at;
                        break;
                case DT_RELASZ:
                        o->others_size = dynamic->d_un.d_val;
                        break;
                }
        }
}

static struct object read_object(const struct dl_phdr_info *info)
{
        uintptr_t page = getauxval(AT_PAGESZ);
        struct object o = {.base = info->dlpi_addr, .begin = UINTPTR_MAX};

        for (const ElfW(Phdr) *p = info->dlpi_phdr; p < info->dlpi_phdr + info->dlpi_phnum; p++) {
                uintptr_t at = o.base + p->p_vaddr;

                if (p->p_type == PT_LOAD) {
                        o.begin = at < o.begin ? at : o.begin;
                        o.end = at + p->p_memsz > o.end ? at + p->p_memsz : o.end;
                } else if (p->p_type ==
                           PT_GNU_RELRO) { /* whole pages, as the linker protects them */
                        o.relro = at & ~(page - 1);
                        o.relro_end = (at + p->p_memsz) & ~(page - 1);
                } else if (p->p_type == PT_DYNAMIC) {
                        read_dynamic(&o, (void *)at);
                }
        }
        return o;
}

static uint32_t gnu_hash(const char *name)
{
        uint32_t hash = 5381;

        for (; *name != '\0'; name++)
                hash = hash * 33 + (unsigned char)*name;
        return hash;
}

/* What o itself exports under this name, or 0: the linker's own way through DT_GNU_HASH, without
 * its locks. */
static uintptr_t exported(const struct object *o, const char *name)
{
        const uint32_t *h = o->hash, hash = gnu_hash(name);
        uint32_t buckets = h[0], first = h[1], words = h[2], shift = h[3], i;
        const ElfW(Addr) *bloom = (const void *)(h + 4);
        const uint32_t *bucket = (const void *)(bloom + words), *chain = bucket + buckets;
        enum { BITS = sizeof *bloom * 8 };
        ElfW(Addr) word = bloom[hash / BITS % words];

        if ((word >> hash % BITS & word >> (hash >> shift) % BITS & 1) == 0)
                return 0;
        for (i = bucket[hash % buckets]; i >= first; i++) {
                const ElfW(Sym) *s = &o->symbols[i];

                if ((chain[i - first] | 1) == (hash | 1) &&
                    strcmp(o->strings + s->st_name, name) == 0)
                        return o->base + s->st_value;
                if ((chain[i - first] & 1) != 0)
                        break;
        }
        return 0;
}

/* ---- binding ---- */

/* A slot that leads into its own object is one of a function that has not been called yet: the
 * linker would fill it at the first call. What the table of real functions lacks is a TLS
 * library's: that hook asks for the caller's own. */
static bool leads_to_real(const struct object *o, uintptr_t held, const char *name)
{
        uintptr_t real = (uintptr_t)real_named(name);

        return real == 0 || held == real || (held >= o->begin && held < o->end);
}

static void bind_slots(const struct object *o, const struct object *ours, const ElfW(Rela) * from,
                       size_t size)
{
        for (const ElfW(Rela) *r = from; r < from + size / sizeof *from; r++) {
                unsigned long type = ELF64_R_TYPE(r->r_info);
                const ElfW(Sym) *symbol = &o->symbols[ELF64_R_SYM(r->r_info)];
                const char *name = o->strings + symbol->st_name;
                uintptr_t *slot = (void *)(o->base + r->r_offset), hook;

                if ((type != SLOT_CALL && type != SLOT_DATA) || symbol->st_shndx != SHN_UNDEF)
                        continue;
                hook = exported(ours, name);
                if (hook != 0 && leads_to_real(o, __atomic_load_n(slot, __ATOMIC_RELAXED), name))
                        __atomic_store_n(slot, hook, __ATOMIC_RELAXED);
        }
}

static bool protect(const struct object *o, int protection)
{
        return o->relro == o->relro_end ||
               sys(SYS_mprotect, o->relro, o->relro_end - o->relro, protection) == 0;
}

static void bind_object(const struct object *o, const struct object *ours)
{
        if (o->symbols == NULL || o->strings == NULL || !protect(o, PROT_READ | PROT_WRITE))
                return;
        bind_slots(o, ours, o->calls, o->calls_size);
        bind_slots(o, ours, o->others, o->others_size);
        protect(o, PROT_READ);
}

/* ---- loading ---- */

/* One way through the list of loaded objects, under the linker's lock; new ones come last. Others
 * may load and unload meanwhile: then an object is missed, or one is looked at that is bound to us
 * already. */
struct walk {
        const void *caller; /* NULL, or is it in the main program? */
        bool caller_is_main;
        size_t before; /* how many objects there were; the rest is bound */
        size_t count;
        struct object ours;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *ctx)
{
        struct walk *walk = ctx;
        uintptr_t caller = (uintptr_t)walk->caller;

        (void)size;
        if (walk->count++ == 0 && caller != 0) {
                struct object main_program = read_object(info);

                walk->caller_is_main = caller >= main_program.begin && caller < main_program.end;
                return 1;
        }
        if (walk->count > walk->before) {
                struct object object = read_object(info);

                bind_object(&object, &walk->ours);
        }
        return 0;
}

bool deepbind_may_load(const char *file, const void *caller)
{
        struct walk walk = {.caller = caller, .before = SIZE_MAX};

        if (file == NULL || strchr(file, '/') == NULL || strchr(file, '$') != NULL)
                return false;
        dl_iterate_phdr(look_at, &walk);
        return walk.caller_is_main;
}

extern const char ours_begin[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));

void *deepbind_load(const char *file, int mode)
{
        struct walk walk = {.before = SIZE_MAX, .ours = {.base = (uintptr_t)ours_begin}};
        void *handle;
        int saved;

        real_resolve_all(); /* now: under the linker's lock it cannot be asked */
        dl_iterate_phdr(look_at, &walk);
        handle = REAL(dlopen)(file, mode);
        saved = errno;
        walk.before = walk.count;
        walk.count = 0;
        read_dynamic(&walk.ours, _DYNAMIC);
        if (handle != NULL)
                dl_iterate_phdr(look_at, &walk);
        errno = saved;
        return handle;
}

/* Without optimisation the compiler makes a call of it, and the linker, which looks at who calls,
 * would take us for the one that wants the library: other RUNPATH, other $ORIGIN. */
#ifdef __OPTIMIZE__
EXPORT void *dlopen(const char *file, int mode)
{
        if ((mode & RTLD_DEEPBIND) != 0 && deepbind_may_load(file, __builtin_return_address(0)))
                return deepbind_load(file, mode);
        return REAL(dlopen)(file, mode); /* a jump */
}
#endif
