/* How long connect() itself takes: HOST PORT [COUNT] non-blocking connects, one after the other,
 * each kept open until the end. Prints the number that did not end as "in progress", then median,
 * 99th percentile and maximum in microseconds. Run by tests/e2e/test_event_loops.py. */
#include "idiom.h"

#include <sys/resource.h>

enum { MOST = 4000 };

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
        static double took[MOST];
        int count = argc > 3 ? atoi(argv[3]) : 500, others = 0;
        struct rlimit limit;

        idiom_start(argc > 3 ? 3 : argc, argv);
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        count = count > 0 && count < MOST ? count : MOST;
        for (int i = 0; i < count; i++) {
                int fd = tcp_socket(SOCK_NONBLOCK);
                double start = now_us();
                int result = connect_target(fd);

                took[i] = now_us() - start;
                others += result == 0 || errno != EINPROGRESS;
        }
        qsort(took, (size_t)count, sizeof *took, compare);
        printf("others %d median %.1f p99 %.1f max %.1f\n", others, took[count / 2],
               took[count * 99 / 100], took[count - 1]);
        return 0;
}
