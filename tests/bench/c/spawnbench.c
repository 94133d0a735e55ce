/* spawnbench.c - microseconds to spawn a program and wait for it, median of N.
 *
 *   spawnbench N [K=V ...] /path/to/program [args ...]
 *
 * The K=V pairs (LD_PRELOAD=... and the like) go to the children only. */
#include "common.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static int cmp(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
        if (argc < 3)
                die("usage: spawnbench n [K=V ...] program [args ...]");
        int n = atoi(argv[1]), i = 2, e = 0;
        char **env = calloc(1024 + (size_t)argc, sizeof *env);
        for (; i < argc && strchr(argv[i], '=') && argv[i][0] != '/'; i++)
                env[e++] = argv[i];
        for (char **p = environ; *p && e < 1000; p++)
                env[e++] = *p;
        double *us = calloc((size_t)n, sizeof *us), sum = 0;
        for (int k = 0; k < n; k++) {
                pid_t pid;
                int st;
                uint64_t t = now_ns();
                if (posix_spawn(&pid, argv[i], NULL, NULL, argv + i, env) ||
                    waitpid(pid, &st, 0) != pid || st)
                        die("%s did not exit with 0", argv[i]);
                sum += us[k] = (double)(now_ns() - t) / 1e3;
        }
        qsort(us, (size_t)n, sizeof *us, cmp);
        printf("{\"median_us\":%.1f,\"mean_us\":%.1f}\n", us[n / 2], sum / n);
}
