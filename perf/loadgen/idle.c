/*
 * Topology:   N sockets of this process --> peer; nothing is published or subscribed.
 *
 * Holds N connections that were each answered once (so that the peer has accepted and placed every
 * one), answers heartbeats, and closes all of them when standard input ends. What they cost is read
 * from the peer's process by the script meanwhile. Void when any connection was lost before the end.
 */
#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTING_MAX 256
#define ANSWER_BYTES_MAX 8192
#define EVENTS_MAX 256
#define SILENCE_MS 10000
#define STDIN_TOKEN UINT32_MAX

struct idle_run {
  const struct options *options;
  struct session session;
  int epoll_fd;
  int *fds;
  bool *up;
  long begun;
  long up_count;
  long lost;
  uint64_t heartbeats;
};

/** Sends the greeting, or waits until it can be sent: EPOLLOUT stands for a greeting that is owed. */
static void greet(struct idle_run *run, uint32_t ordinal, int operation) {
  uint8_t greeting[GREETING_BYTES_MAX];
  size_t bytes = run->session.wire->greeting(&run->session, greeting);
  bool greeted = send_first(run->fds[ordinal], greeting, bytes);
  struct epoll_event event = {.events = EPOLLIN | (greeted ? 0u : EPOLLOUT), .data.u32 = ordinal};
  epoll_ctl(run->epoll_fd, operation, run->fds[ordinal], &event);
}

static void begin_one(struct idle_run *run) {
  run->fds[run->begun] = connect_begin(run->options->port, run->begun);
  greet(run, (uint32_t)run->begun++, EPOLL_CTL_ADD);
}

/** The greeting's answer is peeked at until it is whole, so that no connection needs a buffer. */
static void await_answer(struct idle_run *run, uint32_t ordinal) {
  uint8_t bytes[ANSWER_BYTES_MAX];
  ssize_t count = recv(run->fds[ordinal], bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (count == 0) die("connection %u was closed before it was answered", ordinal);
  if (count < 0) {
    if (errno == EAGAIN) return;
    die("connection %u: %s", ordinal, strerror(errno));
  }
  if (!run->session.wire->greeted(bytes, (size_t)count)) return;
  if (recv(run->fds[ordinal], bytes, (size_t)count, MSG_DONTWAIT) != count) die("bytes peeked at went away");
  run->up[ordinal] = true;
  run->up_count++;
}

static void hold_one(struct idle_run *run, uint32_t ordinal) {
  uint8_t bytes[ANSWER_BYTES_MAX], answer[ANSWER_BYTES_MAX + 8];
  ssize_t count = recv(run->fds[ordinal], bytes, sizeof bytes, MSG_DONTWAIT);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    run->lost++;
    close(run->fds[ordinal]);
    run->fds[ordinal] = -1;
    return;
  }
  size_t owed = run->session.wire->reply(bytes, (size_t)count, answer);
  if (owed > 0) {
    run->heartbeats++;
    if (send(run->fds[ordinal], answer, owed, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) run->lost++;
  }
}

static void bring_up(struct idle_run *run) {
  struct epoll_event events[EVENTS_MAX];
  while (run->up_count < run->options->connections) {
    while (run->begun < run->options->connections && run->begun - run->up_count < CONNECTING_MAX) {
      begin_one(run);
    }
    int ready = epoll_wait(run->epoll_fd, events, EVENTS_MAX, SILENCE_MS);
    if (ready == 0) die("%ld of %ld connections are up, then silence", run->up_count, run->begun);
    for (int i = 0; i < ready; i++) {
      uint32_t ordinal = events[i].data.u32;
      if (events[i].events & EPOLLOUT) {
        greet(run, ordinal, EPOLL_CTL_MOD);
      } else if (run->up[ordinal]) {
        hold_one(run, ordinal);
      } else {
        await_answer(run, ordinal);
      }
    }
  }
}

static void hold_until_stdin_ends(struct idle_run *run) {
  struct epoll_event events[EVENTS_MAX], input = {.events = EPOLLIN, .data.u32 = STDIN_TOKEN};
  if (epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0) {
    die("standard input must be a pipe that is held open");
  }
  for (;;) {
    int ready = epoll_wait(run->epoll_fd, events, EVENTS_MAX, -1);
    for (int i = 0; i < ready; i++) {
      char ignored[64];
      if (events[i].data.u32 != STDIN_TOKEN) {
        hold_one(run, events[i].data.u32);
      } else if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0) {
        return;
      }
    }
  }
}

int run_idle(const struct options *options) {
  struct idle_run run = {.options = options, .session = new_session(options)};
  run.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  run.fds = allocate((size_t)options->connections * sizeof *run.fds + 1);
  run.up = allocate((size_t)options->connections * sizeof *run.up + 1);
  uint64_t start_ns = now_ns();
  bring_up(&run);
  printf("{\"mode\":\"idle\",\"protocol\":\"%s\",\"hello\":%s,\"up\":%ld,\"seconds\":%.3f}\n",
         options->protocol, options->hello ? "true" : "false", run.up_count,
         (double)(now_ns() - start_ns) / NS_PER_SECOND);
  fflush(stdout);
  hold_until_stdin_ends(&run);
  for (long i = 0; i < options->connections; i++) {
    if (run.fds[i] >= 0) close(run.fds[i]);
  }
  printf("{\"mode\":\"idle\",\"closed\":%ld,\"lost\":%ld,\"heartbeats\":%llu}\n",
         options->connections - run.lost, run.lost, (unsigned long long)run.heartbeats);
  return 0;
}
