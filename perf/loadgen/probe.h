/* One publisher and one subscriber on a stream, at a fixed rate: each message bears the moment in which it was due. */
#ifndef LOADGEN_PROBE_H
#define LOADGEN_PROBE_H

#include "histogram.h"
#include "wire.h"

struct probe {
  const struct options *options;
  struct session session;
  struct receiver *subscriber;
  struct receiver *control; /* the publisher's own input */
  uint8_t *batch;           /* made, not taken by the socket yet: [batch_sent, batch_bytes) */
  size_t batch_bytes;
  size_t batch_sent;
  uint64_t made;
  uint64_t start_ns;
  uint64_t due_ns; /* when the next message is to be sent */
  uint64_t received_at_ns;
  uint64_t counted_from_ns; /* messages that were due before are not counted */
  bool broken;
  /* What a message took from when it was due, and how late it was handed to the kernel; may be exchanged at any time. */
  struct histogram *latency;
  struct histogram *send_lag;
};

/** Connects both ends; `latency` and `send_lag` are set by the caller. */
void open_probe(struct probe *probe, const struct options *options, const char *subject);
/** The first message is due at `start_ns`. */
void start_probe(struct probe *probe, uint64_t start_ns);
/** Sends what is due by `now` and before `end_ns`, and what the socket has not taken before. */
void probe_send(struct probe *probe, uint64_t now, uint64_t end_ns);
/** Receives once. True: something came. */
bool probe_receive(struct probe *probe, uint64_t round);
/** Waits for what is under way, for as long as the options' patience. */
void probe_drain(struct probe *probe);

#endif
