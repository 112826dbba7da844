/*
 * Topology:   any number of connections --> this thread, which answers the first bytes of each.
 *
 * The least that a server can do for `idle` and `connect`: accept, read, answer each PING frame with
 * its PONG, close when the client does. It is the ceiling of those two modes.
 */
#define _GNU_SOURCE
#include "../loadgen/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define ACCEPT_MAX 64
#define REQUEST_BYTES_MAX 4096

static void accept_some(int epoll_fd, int listener) {
  for (int i = 0; i < ACCEPT_MAX; i++) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) return;
    if (fd < 0) die("accept: %s", strerror(errno));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
  }
}

static void serve_one(int fd) {
  uint8_t bytes[REQUEST_BYTES_MAX], answer[REQUEST_BYTES_MAX + 8];
  ssize_t count = recv(fd, bytes, sizeof bytes, 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    close(fd);
    return;
  }
  size_t owed = wire_ms.reply(bytes, (size_t)count, answer);
  if (owed > 0 && send(fd, answer, owed, MSG_NOSIGNAL) != (ssize_t)owed) close(fd);
}

int run_answer(const struct options *options) {
  int listener = listen_ready(options->port);
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == listener) {
        accept_some(epoll_fd, listener);
      } else {
        serve_one(events[i].data.fd);
      }
    }
  }
}
