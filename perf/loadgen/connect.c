/*
 * Topology:   K sockets of this thread at a time --> peer's acceptor and, for the answer, its shard.
 *
 * Measures whole lives of connections: connect, one greeting (PING, or HELLO with --hello), its answer,
 * close; K of them under way at any time, `--total` in all. The rate counts finished cycles; the latency
 * is from just before connect() to the answer's arrival. The generator closes first, so TIME_WAIT stays
 * on its side; source addresses rotate so that ports do not run out.
 *
 * Void when: a connection was refused or closed without an answer; when `loadgen answer` (the bare
 * server) is not clearly faster.
 */
#include "histogram.h"
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX 8192
#define EVENTS_MAX 256
#define OUTSTANDING_MAX 4096
#define SILENCE_MS 10000

struct cycle {
  int fd;
  bool greeted; /* the greeting was sent */
  uint64_t begun_ns;
};

struct connect_run {
  const struct options *options;
  struct session session;
  int epoll_fd;
  long begun;
  long done;
  uint8_t greeting[1024];
  size_t greeting_bytes;
  struct histogram latency;
  struct cycle cycles[OUTSTANDING_MAX];
};

static void begin_cycle(struct connect_run *run, uint32_t slot) {
  struct cycle *cycle = &run->cycles[slot];
  cycle->begun_ns = now_ns();
  cycle->fd = connect_begin(run->options->port, run->begun++);
  cycle->greeted = send_first(cycle->fd, run->greeting, run->greeting_bytes);
  struct epoll_event event = {.events = EPOLLIN | (cycle->greeted ? 0u : EPOLLOUT), .data.u32 = slot};
  epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, cycle->fd, &event);
}

/** The connection is there only now. */
static void greet_late(struct connect_run *run, uint32_t slot) {
  struct cycle *cycle = &run->cycles[slot];
  cycle->greeted = send_first(cycle->fd, run->greeting, run->greeting_bytes);
  struct epoll_event event = {.events = EPOLLIN | (cycle->greeted ? 0u : EPOLLOUT), .data.u32 = slot};
  epoll_ctl(run->epoll_fd, EPOLL_CTL_MOD, cycle->fd, &event);
}

static void look_at(struct connect_run *run, uint32_t slot) {
  struct cycle *cycle = &run->cycles[slot];
  uint8_t bytes[ANSWER_BYTES_MAX];
  ssize_t count = recv(cycle->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) die("a connection was closed without an answer, after %ld cycles", run->done);
  if (!run->session.wire->greeted(bytes, (size_t)count)) return;
  histogram_add(&run->latency, now_ns() - cycle->begun_ns);
  /* Unread bytes would turn the close into a reset. */
  recv(cycle->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  close(cycle->fd);
  run->done++;
  if (run->begun < run->options->total) begin_cycle(run, slot);
}

int run_connect(const struct options *options) {
  if (options->outstanding < 1 || options->outstanding > OUTSTANDING_MAX) {
    die("from 1 to %d outstanding", OUTSTANDING_MAX);
  }
  struct connect_run *run = allocate(sizeof *run);
  run->options = options;
  run->session = new_session(options);
  run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  run->greeting_bytes = run->session.wire->greeting(&run->session, run->greeting);
  uint64_t start_ns = now_ns();
  double cpu_start = cpu_seconds();
  for (uint32_t slot = 0; slot < options->outstanding && run->begun < options->total; slot++) {
    begin_cycle(run, slot);
  }
  while (run->done < options->total) {
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(run->epoll_fd, events, EVENTS_MAX, SILENCE_MS);
    if (ready == 0) die("silence after %ld of %ld cycles", run->done, options->total);
    for (int i = 0; i < ready; i++) {
      if (!run->cycles[events[i].data.u32].greeted) {
        greet_late(run, events[i].data.u32);
      } else {
        look_at(run, events[i].data.u32);
      }
    }
  }
  double seconds = (double)(now_ns() - start_ns) / NS_PER_SECOND;
  printf("{\"mode\":\"connect\",\"protocol\":\"%s\",\"hello\":%s,\"outstanding\":%ld,\"cycles\":%ld,"
         "\"seconds\":%.4f,\"cyclesPerSecond\":%.0f,\"generatorCpuSeconds\":%.4f,",
         options->protocol, options->hello ? "true" : "false", options->outstanding, run->done, seconds,
         (double)run->done / seconds, cpu_seconds() - cpu_start);
  histogram_print("latency", &run->latency);
  printf(",\"error\":\"\"}\n");
  return 0;
}
