/* notify_listen NAME: prints what programs send to the notify socket NAME (a path, or an abstract
 * name that begins with '@'), a message a line with '|' between its assignments.  Ends when it is
 * killed. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char *argv[])
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const size_t len = argc == 2 ? strlen(argv[1]) : 0;
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (len < 2 || len >= sizeof(at.sun_path) || fd < 0) {
        return 2;
    }
    memcpy(at.sun_path, argv[1], len);
    if (at.sun_path[0] == '@') {
        at.sun_path[0] = '\0';
    }
    const socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (argv[1][0] == '/'));
    if (bind(fd, (const struct sockaddr *)&at, size) != 0) {
        perror("notify_listen: bind");
        return 1;
    }
    puts("listening");
    for (;;) {
        char text[4096];
        (void)fflush(stdout);
        const ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
        if (n < 0) {
            return 1;
        }
        text[n] = '\0';
        for (char *c = strchr(text, '\n'); c != NULL; c = strchr(c, '\n')) {
            *c = '|';
        }
        puts(text);
    }
}
