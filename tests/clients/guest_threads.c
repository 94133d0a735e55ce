/* Threads that allocate, look a name up, connect and fail to open a file at once: HOST PORT FILE.
 * Prints how many got what. */
#include "idiom.h"

#include <netdb.h>
#include <pthread.h>

enum { THREADS = 8, ROUNDS = 6 };

static const char *path;
static _Atomic int connected, denied, resolved;

static void *work(void *arg)
{
        for (int i = 0; i < ROUNDS; i++) {
                struct addrinfo *list = NULL;
                char *block = malloc(1000 + (size_t)i * 5000);
                int fd = tcp_socket(0);

                memset(block, i, 1000);
                if (getaddrinfo("localhost", NULL, NULL, &list) == 0) {
                        resolved++;
                        freeaddrinfo(list);
                }
                connected += connect_target(fd) == 0;
                denied += open(path, O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES;
                close(fd);
                free(block);
        }
        return arg;
}

int main(int argc, char **argv)
{
        pthread_t threads[THREADS];

        if (argc < 4)
                return 64;
        idiom_start(3, argv);
        path = argv[3];
        for (int i = 0; i < THREADS; i++)
                if (pthread_create(&threads[i], NULL, work, NULL) != 0)
                        return 65;
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        printf("connected %d denied %d resolved %d\n", connected, denied, resolved);
        return 0;
}
