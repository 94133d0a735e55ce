/* A program that loads libraries with RTLD_DEEPBIND as PHP does: LIBRARY HOST PORT PATH. Prints
 * what the library's calls return, and how loads end that the linker decides by who asks: a bare
 * name, which it finds by our RUNPATH ($ORIGIN), and a name that is nowhere. */
#include <dlfcn.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

static void load(const char *name, int mode)
{
        void *handle = dlopen(name, mode);

        printf("%s: %s\n", name, handle == NULL ? dlerror() : "loaded");
        printf("then %s\n", dlerror() == NULL ? "no error" : "an error");
        if (handle != NULL)
                dlclose(handle);
}

int main(int argc, char **argv)
{
        int (*connects)(const char *, const char *), (*mkdirs)(const char *),
                (*unlinks)(const char *);
        void *handle;

        if (argc < 5)
                return 64;
        load(basename(argv[1]), RTLD_NOW);
        load(basename(argv[1]), RTLD_NOW | RTLD_DEEPBIND);
        load("nowhere.so", RTLD_NOW | RTLD_DEEPBIND);
        load("/nowhere/nowhere.so", RTLD_NOW | RTLD_DEEPBIND);
        handle = dlopen(argv[1], RTLD_LAZY | RTLD_GLOBAL | RTLD_DEEPBIND);
        connects = handle != NULL ? dlsym(handle, "deep_connect") : NULL;
        mkdirs = handle != NULL ? dlsym(handle, "deep_mkdir") : NULL;
        unlinks = handle != NULL ? dlsym(handle, "deep_unlink") : NULL;
        if (connects == NULL || mkdirs == NULL || unlinks == NULL)
                return 1;
        printf("connect %d\n", connects(argv[2], argv[3]));
        printf("mkdir %d\n", mkdirs(argv[4]));
        printf("unlink %c\n", unlinks("own"));
        return 0;
}
