/* epoll(7), level-triggered, registered before connect(). */
#include "idiom_epoll.h"

int main(int argc, char **argv)
{
        return run_epoll(argc, argv, true, 0);
}
