/* A preloaded library (clock.so): each reading of CLOCK_REALTIME is years away from the one before.
 */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
        static const long years[] = {0, 20, -10, 3};
        static atomic_uint reading;
        int result = (int)syscall(SYS_clock_gettime, clock, now);

        if (clock == CLOCK_REALTIME && result == 0)
                now->tv_sec += years[atomic_fetch_add(&reading, 1) % 4] * 31557600;
        return result;
}
