/* openbench.c - nanoseconds per open()/close() pair, per failing open() and per stat().
 *
 *   openbench DIR ITERATIONS        (DIR holds 'ok', and 'denied' with mode 000)
 *
 * As root it first becomes nobody, by raw system calls that no preload library sees: root is never
 * refused, so EACCES could not be measured. */
#include "common.h"
#include <sys/stat.h>
#include <sys/syscall.h>

enum { BATCHES = 40 };
static const char *dir;

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return x < y ? -1 : x > y;
}

/* Median over batches, so that a disturbance from outside does not count. */
static double bench(const char *name, int kind, int want, long n)
{
        char path[512];
        struct stat st;
        double ns[BATCHES];
        snprintf(path, sizeof path, "%s/%s", dir, name);
        for (int b = 0; b < BATCHES; b++) {
                uint64_t t = now_ns();
                for (long i = 0; i < n / BATCHES; i++) {
                        if (kind == 's') {
                                if (stat(path, &st))
                                        die("stat %s: %s", path, strerror(errno));
                                continue;
                        }
                        int fd = open(path, O_RDONLY | O_CLOEXEC);
                        if (fd >= 0)
                                close(fd);
                        if ((fd < 0 ? errno : 0) != want)
                                die("open %s: got %s", path, fd < 0 ? strerror(errno) : "success");
                }
                ns[b] = (double)(now_ns() - t) / (double)(n / BATCHES);
        }
        qsort(ns, BATCHES, sizeof *ns, by_value);
        return ns[BATCHES / 2];
}

int main(int argc, char **argv)
{
        if (argc != 3)
                die("usage: openbench dir iterations");
        dir = argv[1];
        long n = atol(argv[2]);
        if (syscall(SYS_geteuid) == 0 && (syscall(SYS_setgid, 65534) || syscall(SYS_setuid, 65534)))
                die("cannot drop root");
        bench("ok", 'o', 0, n / 10); /* warm up */
        printf("{\"open_close_ns\":%.1f,", bench("ok", 'o', 0, n));
        printf("\"enoent_ns\":%.1f,", bench("missing", 'o', ENOENT, n));
        printf("\"eacces_ns\":%.1f,", bench("denied", 'o', EACCES, n));
        printf("\"stat_ns\":%.1f}\n", bench("ok", 's', 0, n));
}
