/* A lane is one stream with its publishers and subscribers, and the messages that are sent on it again and again. */
#ifndef LOADGEN_LANE_H
#define LOADGEN_LANE_H

#include "wire.h"

#define LANES_MAX 1024
#define ENDS_MAX 64

struct publisher {
  int fd;
  uint8_t *cycle;     /* the lane's; where frames are keyed, one of its own, for it bears this connection's tags */
  size_t byte_offset; /* in the cycle */
  size_t tagged_bytes; /* from there on, up to the end of a message */
  uint64_t sent_bytes;
  struct receiver *control;
};

struct lane {
  const struct options *options;
  char subject[SUBJECT_BYTES_MAX + 16];
  struct session session;
  uint8_t *cycle;    /* the prepared messages, side by side */
  uint8_t *payloads; /* their payloads, side by side */
  size_t cycle_messages;
  size_t cycle_bytes;
  size_t message_bytes;
  struct publisher publishers[ENDS_MAX];
  struct receiver *subscribers[ENDS_MAX];
  bool broken;
};

/**
 * Connects lane `ordinal`'s publishers and then its subscribers, and prepares its messages. Where there is one
 * lane its subject is the options', else that with `.ordinal` behind it.
 */
void open_lane(struct lane *lane, const struct options *options, int ordinal);

/** Sends from the cycle what socket and window take, while `sending`; else only the rest of a half-sent message. */
size_t pump_publisher(struct lane *lane, struct publisher *publisher, bool sending);
/** Whether it waits for nothing but its socket. */
bool wants_to_send(const struct lane *lane, const struct publisher *publisher, bool sending);
size_t bytes_to_message_end(const struct lane *lane, const struct publisher *publisher);

uint64_t messages_sent(const struct lane *lane);
uint64_t messages_delivered(const struct lane *lane);

#endif
