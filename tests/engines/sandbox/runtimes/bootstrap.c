/* A custom runtime in C, without a library: one connection, and what an event asks for. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char in[1 << 20], out[1 << 20];

static int connected(const char *api) {
  const char *colon = strchr(api, ':');
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(colon + 1))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) exit(70);
  return fd;
}

/* Reads one reply; returns its body. */
static char *reply(int fd) {
  size_t have = 0;
  char *end = NULL;
  while (!end) {
    ssize_t got = read(fd, in + have, sizeof in - 1 - have);
    if (got <= 0) exit(0);
    in[have += got] = 0;
    end = strstr(in, "\r\n\r\n");
  }
  char *length = strstr(in, "Content-Length: ");
  size_t whole = (end + 4 - in) + (length ? atoi(length + 16) : 0);
  while (have < whole) {
    ssize_t got = read(fd, in + have, sizeof in - 1 - have);
    if (got <= 0) exit(0);
    in[have += got] = 0;
  }
  return end + 4;
}

int main(void) {
  int fd = connected(getenv("AWS_LAMBDA_RUNTIME_API"));
  for (;;) {
    dprintf(fd, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: api\r\n\r\n");
    char *event = reply(fd), id[64] = "";
    sscanf(strstr(in, "Lambda-Runtime-Aws-Request-Id: "), "Lambda-Runtime-Aws-Request-Id: %63s", id);
    if (strstr(event, "exit")) exit(7);
    if (strstr(event, "crash")) *(volatile int *)0 = 1;
    if (strstr(event, "spin")) for (;;) {}
    if (strstr(event, "memory"))
      for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    const char *how = strstr(event, "error") ? "error" : "response";
    const char *body = strstr(event, "error")
        ? "{\"errorMessage\": \"no\", \"errorType\": \"Native.Refused\", \"stackTrace\": []}" : event;
    int size = snprintf(out, sizeof out,
        "POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1\r\nHost: api\r\n"
        "Lambda-Runtime-Function-Error-Type: Native.Refused\r\nContent-Length: %zu\r\n\r\n%s",
        id, how, strlen(body), body);
    if (write(fd, out, size) != size) exit(71);
    reply(fd);
  }
}
