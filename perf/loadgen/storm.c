/*
 * Topology:   publisher --> peer --> N subscribers, all of which lose their connection at the same moment.
 *
 * Measures how soon a peer that has lost all its clients has them back: N connections hold a subscription each, all
 * are closed, and at once all N connect and subscribe again, as many at a time as `--outstanding` says. The latency is of
 * each one, from just before its connect() until its subscription was confirmed; `backUs` is when the last one was. Then
 * one message is published, which proves the subscriptions: `allReachedUs` is when the last of N had it.
 *
 * Void when: a subscription was not confirmed, or the message did not reach every one, unchanged.
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
#define SILENCE_MS 10000

struct client {
  int fd;
  uint64_t begun_ns;
  bool asked; /* the subscription was sent */
  bool joined;
};

struct storm {
  const struct options *options;
  struct session session;
  int epoll_fd;
  long begun;
  long joined;
  uint8_t join[GREETING_BYTES_MAX];
  size_t join_bytes;
  struct client *clients;
  struct histogram latency;
};

static void begin_one(struct storm *storm, long begun_before) {
  struct client *client = &storm->clients[storm->begun];
  client->begun_ns = now_ns();
  client->joined = false;
  client->fd = connect_begin(storm->options->port, begun_before + storm->begun);
  client->asked = send_first(client->fd, storm->join, storm->join_bytes);
  struct epoll_event event = {.events = EPOLLIN | (client->asked ? 0u : EPOLLOUT),
                              .data.u32 = (uint32_t)storm->begun++};
  epoll_ctl(storm->epoll_fd, EPOLL_CTL_ADD, client->fd, &event);
}

/** The connection is there only now: as with a peer whose queue of new connections is short. */
static void ask_late(struct storm *storm, uint32_t ordinal) {
  struct client *client = &storm->clients[ordinal];
  client->asked = send_first(client->fd, storm->join, storm->join_bytes);
  struct epoll_event event = {.events = EPOLLIN | (client->asked ? 0u : EPOLLOUT), .data.u32 = ordinal};
  epoll_ctl(storm->epoll_fd, EPOLL_CTL_MOD, client->fd, &event);
}

static void look_at(struct storm *storm, struct client *client) {
  uint8_t bytes[ANSWER_BYTES_MAX];
  ssize_t count = recv(client->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (client->joined || (count < 0 && errno == EAGAIN)) return;
  if (count <= 0) die("a connection was closed without an answer, after %ld", storm->joined);
  if (!storm->session.wire->joined(bytes, (size_t)count)) return;
  if (recv(client->fd, bytes, (size_t)count, MSG_DONTWAIT) != count) die("bytes peeked at went away");
  histogram_add(&storm->latency, now_ns() - client->begun_ns);
  client->joined = true;
  storm->joined++;
}

/** Brings up all clients; answers the nanoseconds that it took. */
static uint64_t bring_up(struct storm *storm, long begun_before) {
  long total = storm->options->connections;
  struct epoll_event events[EVENTS_MAX];
  storm->begun = storm->joined = 0;
  memset(&storm->latency, 0, sizeof storm->latency);
  uint64_t start_ns = now_ns();
  while (storm->joined < total) {
    while (storm->begun < total && storm->begun - storm->joined < storm->options->outstanding) {
      begin_one(storm, begun_before);
    }
    int ready = epoll_wait(storm->epoll_fd, events, EVENTS_MAX, SILENCE_MS);
    if (ready == 0) die("%ld of %ld are back, then silence", storm->joined, total);
    for (int i = 0; i < ready; i++) {
      struct client *client = &storm->clients[events[i].data.u32];
      if (!client->asked) {
        ask_late(storm, events[i].data.u32);
      } else {
        look_at(storm, client);
      }
    }
  }
  return now_ns() - start_ns;
}

static void close_all(struct storm *storm) {
  for (long i = 0; i < storm->options->connections; i++) close(storm->clients[i].fd);
}

/** Publishes one message and reads it from every client; answers the nanoseconds until the last had it. */
static uint64_t reach_all(struct storm *storm, int publisher_fd, struct receiver *shared, uint64_t sequence) {
  const struct options *options = storm->options;
  const struct wire *wire = storm->session.wire;
  size_t bytes = wire->message_bytes(&storm->session, options->payload_bytes);
  uint8_t *message = allocate(bytes);
  fill_payload(message + wire->payload_byte_offset(&storm->session, options->payload_bytes),
               options->payload_bytes, 0);
  wire->write_message(&storm->session, message, options->payload_bytes, 1);
  uint64_t start_ns = now_ns(), progress_ns = start_ns;
  send_all(publisher_fd, message, bytes);
  for (long i = 0; i < options->connections && !shared->error[0]; i++) {
    uint64_t wanted = (uint64_t)i + 1;
    shared->fd = storm->clients[i].fd;
    shared->filled = 0;
    shared->sequence = sequence;
    shared->index = 0;
    while (shared->delivered < wanted) {
      long received = receive_some(shared);
      if (received < 0) break;
      if (received > 0) progress_ns = now_ns();
      if (now_ns() - progress_ns > (uint64_t)SILENCE_MS * 1000000) {
        set_error(shared, "the message did not reach all");
        break;
      }
    }
  }
  return now_ns() - start_ns;
}

int run_storm(const struct options *options) {
  if (options->payload_bytes < INDEX_BYTES) die("storm needs at least %d bytes", INDEX_BYTES);
  struct storm *storm = allocate(sizeof *storm);
  storm->options = options;
  storm->session = new_session(options);
  const struct wire *wire = storm->session.wire;
  storm->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  storm->clients = allocate((size_t)options->connections * sizeof *storm->clients + 1);
  int publisher_fd = connect_blocking(options->port);
  wire->open(&storm->session, publisher_fd);
  int first_fd = connect_blocking(options->port);
  wire->subscribe(&storm->session, first_fd);
  storm->join_bytes = wire->join(&storm->session, storm->join);

  uint64_t first_ns = bring_up(storm, 0);
  close_all(storm);
  uint64_t back_ns = bring_up(storm, options->connections);
  struct receiver *shared = new_receiver(&storm->session, first_fd, 256 * 1024);
  wire->expect(&storm->session, shared, options->payload_bytes);
  uint8_t *payload = allocate(options->payload_bytes);
  fill_payload(payload, options->payload_bytes, 0);
  shared->index_checked = true;
  shared->check_mask = 0;
  shared->index_last = 0;
  shared->prepared = payload;
  uint64_t reached_ns = reach_all(storm, publisher_fd, shared, shared->sequence);
  close_all(storm);
  printf("{\"mode\":\"storm\",\"protocol\":\"%s\",\"connections\":%ld,\"outstanding\":%ld,\"expected\":%ld,"
         "\"delivered\":%llu,\"gaps\":%llu,\"reordered\":%llu,\"misplaced\":%llu,\"corrupt\":%llu,"
         "\"strays\":%llu,\"firstUs\":%.1f,\"backUs\":%.1f,\"perSecond\":%.0f,\"allReachedUs\":%.1f,",
         options->protocol, options->connections, options->outstanding, options->connections,
         (unsigned long long)shared->delivered, (unsigned long long)shared->gaps,
         (unsigned long long)shared->reordered, (unsigned long long)shared->misplaced,
         (unsigned long long)shared->corrupt, (unsigned long long)shared->strays, (double)first_ns / 1e3,
         (double)back_ns / 1e3, (double)options->connections * NS_PER_SECOND / (double)back_ns,
         (double)reached_ns / 1e3);
  histogram_print("latency", &storm->latency);
  printf(",\"error\":\"%s\"}\n", shared->error);
  return 0;
}
