/* The clock, without asking anybody: files cannot be younger than the clock says, and certificates
 * that the system trusts were made in the past. The proxy's own clock is compared in check_proxy.c.
 */
#include "cli/check.h"
#include "cli/paths.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { DAY = 86400, YEARS_AHEAD = 20 };

/* Newest of what was surely written before now: the program and what it was installed with. */
static time_t newest_file(void)
{
        char *library = path_library(), *catalogue = path_catalogue();
        const char *paths[] = {"/proc/self/exe", library, catalogue, "/etc/ld.so.cache",
                               "/var/lib/dpkg/status"};
        time_t newest = 0;
        struct stat st;

        for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
                if (paths[i] != NULL && stat(paths[i], &st) == 0 && st.st_mtime > newest)
                        newest = st.st_mtime;
        free(library);
        free(catalogue);
        return newest;
}

static void date_of(time_t when, char out[16])
{
        struct tm tm;

        strftime(out, 16, "%Y-%m-%d", gmtime_r(&when, &tm));
}

void check_clock(struct check *check)
{
        time_t now = time(NULL), file = newest_file();
        struct check_item *item;
        char today[16], then[16];

        date_of(now, today);
        date_of(file, then);
        if (file <= now + DAY && (file == 0 || now < file + YEARS_AHEAD * 365LL * DAY)) {
                check_add(check, "clock", CHECK_OK, "it is %s (UTC)", today);
                return;
        }
        item = check_add(check, "clock", CHECK_PROBLEM,
                         "This machine's clock says %s, but files of its own are of %s: "
                         "certificates will seem %s.",
                         today, then, file > now ? "not yet valid" : "expired");
        if (item != NULL)
                item->code = "clock-skew";
        check_advise(item, "Set the clock (timedatectl set-ntp true, as root). In a container or a "
                           "virtual machine it is the host's.");
}
