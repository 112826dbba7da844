#include "plain.h"
#include "xxh64.h"

#include <string.h>

/** Sent and delivered messages may have heads of different length: payloads are what is compared. */
static void compare_payload(struct receiver *receiver, const uint8_t *payload) {
  if (!receiver->prepared || !receiver->index_checked) return;
  receiver->payload_checks++;
  uint32_t index = load_u32(payload);
  if (index > receiver->index_last ||
      memcmp(payload, receiver->prepared + index * receiver->payload_bytes, receiver->payload_bytes) != 0) {
    receiver->corrupt++;
  }
}

/** There is no number but the publisher's own: a forward jump is a gap, a backward one disorder. */
static void judge_index(struct receiver *receiver, uint32_t index) {
  if (index == receiver->index) {
    receiver->index = index == receiver->index_last ? 0 : index + 1;
    return;
  }
  uint64_t cycle = (uint64_t)receiver->index_last + 1;
  uint64_t ahead = ((uint64_t)index + cycle - receiver->index) % cycle;
  if (ahead > cycle / 2 || index > receiver->index_last) {
    receiver->reordered++;
    receiver->misplaced++;
  } else {
    receiver->gaps += ahead;
    count_misplaced(receiver, index);
  }
}

void plain_expect(struct receiver *receiver, size_t payload_bytes) {
  receiver->payload_bytes = payload_bytes;
  receiver->payload_byte_offset = receiver->head_bytes;
  receiver->message_bytes = receiver->head_bytes + payload_bytes + receiver->tail_bytes;
}

long plain_consume(struct receiver *receiver, const uint8_t *bytes, size_t count,
                   long (*judge_other)(struct receiver *receiver, const uint8_t *at, size_t count)) {
  const uint8_t *at = bytes, *end = bytes + count;
  const size_t head_bytes = receiver->head_bytes, whole = receiver->message_bytes;
  const size_t tail_bytes = receiver->tail_bytes;
  while (at < end) {
    size_t left = (size_t)(end - at);
    if (UNLIKELY(head_bytes == 0 || left < head_bytes || memcmp(at, receiver->head, head_bytes) != 0)) {
      long other = judge_other(receiver, at, left);
      if (other < 0) return -1;
      if (other == 0) break;
      at += other;
      continue;
    }
    if (left < whole) break;
    if (UNLIKELY(memcmp(at + whole - tail_bytes, receiver->tail, tail_bytes) != 0)) {
      set_error(receiver, "a payload that does not end where its head says");
      return -1;
    }
    const uint8_t *payload = at + head_bytes;
    if (receiver->index_checked) {
      uint32_t index = load_u32(payload);
      if (LIKELY(index == receiver->index && index != receiver->index_last)) {
        receiver->index++;
      } else {
        judge_index(receiver, index);
      }
    }
    if (UNLIKELY((receiver->delivered & receiver->check_mask) == 0)) compare_payload(receiver, payload);
    receiver->delivered++;
    if (receiver->on_message) receiver->on_message(receiver, payload);
    at += whole;
  }
  return at - bytes;
}
