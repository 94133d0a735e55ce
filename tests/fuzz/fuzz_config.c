/* cli/config.c and the checks of options.c: a configuration file. */
#include "fuzz.h"

#include "cli/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct options options;
        static char run[] = "run", option[] = "--config", end[] = "--", command[] = "true";
        char path[32], *argv[] = {run, option, path, end, command, NULL};
        int fd, next = 0;

        if (memmem(data, len, "@include", 8) != NULL)
                return 0;
        fd = fuzz_file(data, len, path);
        options_read(&options, FOR_RUN, 5, argv, &next);
        options_free(&options);
        options_read(&options, FOR_RELAY, 3, argv, &next);
        options_free(&options);
        close(fd);
        return 0;
}
