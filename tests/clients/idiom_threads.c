/* Blocking connects from eight threads at once. */
#include "idiom.h"

#include <pthread.h>

enum { THREADS = 8 };

static void *one(void *arg)
{
        char data[4096];
        size_t bytes = 0;
        int fd = tcp_socket(0), result = connect_target(fd);
        ssize_t n = 0;

        snprintf(arg, 200, "connect %s", outcome(result));
        if (result < 0)
                return arg;
        send(fd, "give\n", 5, MSG_NOSIGNAL);
        while ((n = recv(fd, data, sizeof data, 0)) > 0)
                bytes += (size_t)n;
        snprintf(arg, 200, "connect ok, received %zu end %s", bytes, outcome(n));
        return arg;
}

int main(int argc, char **argv)
{
        static char results[THREADS][200];
        pthread_t threads[THREADS];

        idiom_start(argc, argv);
        for (int i = 0; i < THREADS; i++)
                pthread_create(&threads[i], NULL, one, results[i]);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        for (int i = 0; i < THREADS; i++)
                say("%d: %s", i, results[i]);
        return 0;
}
