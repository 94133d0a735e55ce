/* preload/program.c: the head of a file that is about to be executed. */
#include "fuzz.h"

#include "tapline_program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        static struct program program;
        char path[32];
        int fd = fuzz_file(data, len, path);

        program_look_fd(fd, &program);
        REQUIRE(program.reason == WIRE_COVERED ||
                memchr(program.path, 0, sizeof program.path) != NULL);
        close(fd);
        return 0;
}
