/* Runs the files of a corpus through a fuzz target, without a fuzzer: replay DIRECTORY. A missing
 * or empty corpus is an error, so that nothing is passed by not being there. */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static void run(const char *path)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        uint8_t *data;

        if (fd < 0 || fstat(fd, &st) < 0)
                exit(2);
        data = malloc((size_t)st.st_size + 1);
        if (data == NULL || read(fd, data, (size_t)st.st_size) != st.st_size)
                exit(2);
        close(fd);
        LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
        free(data);
}

int main(int argc, char **argv)
{
        DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
        struct dirent *entry;
        char path[4096];
        int count = 0;

        if (dir == NULL) {
                fprintf(stderr, "replay: usage: %s DIRECTORY\n", argv[0]);
                return 2;
        }
        while ((entry = readdir(dir)) != NULL) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
                run(path);
                count++;
        }
        closedir(dir);
        fprintf(stderr, "replay: %s: %d inputs\n", argv[1], count);
        return count > 0 ? 0 : 1;
}
