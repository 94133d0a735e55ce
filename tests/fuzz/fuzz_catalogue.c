/* explain/catalogue.c: a user's own catalogue of package managers. */
#include "fuzz.h"

#include "explain/catalogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct catalogue *cat = NULL;
        char path[32], *error = NULL;
        int fd;

        if (memmem(data, len, "@include", 8) != NULL)
                return 0; /* libconfig reads the file that is named: not ours to wander about */
        fd = fuzz_file(data, len, path);
        if (catalogue_load(&cat, path, NULL, &error) == 0) {
                for (size_t i = 0; i < catalogue_count(cat); i++)
                        REQUIRE(catalogue_get(cat, i)->name != NULL);
                catalogue_find_program(cat, "poetry");
                catalogue_free(cat);
        } else {
                REQUIRE(error != NULL);
        }
        free(error);
        close(fd);
        return 0;
}
