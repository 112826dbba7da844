/*
 * Topology:   publisher --> broker's log; then log --> one subscriber that came late, in this one thread.
 *
 * Measures how fast a broker hands out what it has kept: `--total` messages are published, and only when the
 * broker has taken all of them (it answered a PING that was sent behind them) a subscriber asks for the stream from
 * its first message. Time runs from just before it asks until it has the last one; every message is checked as in
 * `throughput`. Only for brokers that keep a log.
 *
 * Void when: not all came, whole and in order: above all when the stream's retention did not hold them.
 */
#include "lane.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SILENCE_MS 5000
#define RECEIVE_BYTES (512 * 1024)

/** Sends `total` messages, and then waits until a greeting behind them was answered. */
static void publish(struct lane *lane, const struct options *options) {
  struct publisher *publisher = &lane->publishers[0];
  const uint64_t last_byte = (uint64_t)options->total * lane->message_bytes;
  uint8_t greeting[GREETING_BYTES_MAX], answer[4096];
  set_blocking(publisher->fd);
  for (uint64_t sent = 0; sent < last_byte;) {
    size_t piece = lane->cycle_bytes;
    if (piece > last_byte - sent) piece = (size_t)(last_byte - sent);
    send_all(publisher->fd, lane->cycle, piece);
    sent += piece;
  }
  send_all(publisher->fd, greeting, lane->session.wire->greeting(&lane->session, greeting));
  size_t count = 0;
  do {
    if (count == sizeof answer) die("no answer to the greeting behind the messages");
    receive_all(publisher->fd, answer + count++, 1);
  } while (!lane->session.wire->greeted(answer, count));
}

int run_replay(const struct options *options) {
  struct options only_publisher = *options;
  only_publisher.subscribers = 0;
  only_publisher.streams = only_publisher.publishers = 1;
  struct lane *lane = allocate(sizeof *lane);
  open_lane(lane, &only_publisher, 0);
  publish(lane, options);

  lane->session.from = "first";
  uint64_t start_ns = now_ns();
  double cpu_start = cpu_seconds();
  int fd = connect_blocking(options->port);
  lane->session.wire->subscribe(&lane->session, fd);
  set_nonblocking(fd);
  struct receiver *receiver = new_receiver(&lane->session, fd, RECEIVE_BYTES);
  lane->session.wire->expect(&lane->session, receiver, options->payload_bytes);
  receiver->index_checked = options->payload_bytes >= INDEX_BYTES;
  receiver->index_last = (uint32_t)lane->cycle_messages - 1;
  receiver->prepared = lane->payloads;
  if (options->verify) receiver->check_mask = 0;
  uint64_t first_ns = 0;
  while (receiver->delivered < (uint64_t)options->total) {
    long received = receive_some(receiver);
    if (received < 0) break;
    if (first_ns == 0 && receiver->delivered > 0) first_ns = now_ns();
    flush_outbox(receiver, fd);
    struct pollfd wanted = {fd, POLLIN, 0};
    if (received == 0 && poll(&wanted, 1, SILENCE_MS) == 0) {
      set_error(receiver, "silence");
      break;
    }
  }
  double seconds = (double)(now_ns() - start_ns) / NS_PER_SECOND;
  printf("{\"mode\":\"replay\",\"protocol\":\"%s\",\"payloadBytes\":%zu,\"expected\":%ld,\"delivered\":%llu,"
         "\"gaps\":%llu,\"reordered\":%llu,\"misplaced\":%llu,\"corrupt\":%llu,\"strays\":%llu,"
         "\"announcedLost\":%llu,\"peerErrors\":%llu,",
         options->protocol, options->payload_bytes, options->total, (unsigned long long)receiver->delivered,
         (unsigned long long)receiver->gaps, (unsigned long long)receiver->reordered,
         (unsigned long long)receiver->misplaced, (unsigned long long)receiver->corrupt,
         (unsigned long long)receiver->strays, (unsigned long long)receiver->announced_lost,
         (unsigned long long)receiver->peer_errors);
  printf("\"seconds\":%.5f,\"firstUs\":%.1f,\"framesPerSecond\":%.0f,\"megabytesPerSecond\":%.2f,"
         "\"generatorCpuSeconds\":%.4f,\"error\":\"%s\"}\n",
         seconds, first_ns ? (double)(first_ns - start_ns) / 1e3 : 0.0, (double)receiver->delivered / seconds,
         (double)receiver->delivered * (double)options->payload_bytes / seconds / 1e6,
         cpu_seconds() - cpu_start, receiver->error);
  return 0;
}
