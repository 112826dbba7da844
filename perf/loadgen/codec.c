/*
 * Topology:   one thread, no peer: frames side by side in 256 KiB of memory.
 *
 * Measures nanoseconds of CPU time a frame for making one and for judging one, with checks or, with --key-id, keyed: the same
 * work as the broker's kernel does, as a C compiler sees it. And the machine's cycle, by additions that wait for
 * one another: XXH64 takes two multiplications of 64 bits for each 8 bytes, and a core does one of them a cycle, so that cycles
 * and bytes give the time below which no machine code without vectors comes.
 *
 * Void when: a frame is not whole (it ends the run).
 */
#include "ms_frame.h"

#include <stdio.h>
#include <string.h>

#define WORKING_SET_BYTES (256 * 1024)
#define ROUNDS 5
#define ADDITIONS 20000000
#define MULTIPLICATIONS_PER_STRIPE 8
#define STRIPE_BYTES 32

struct codec {
  const struct options *options;
  struct sip_key key;
  uint8_t *frames;
  size_t frame_count;
  size_t frame_bytes;
};

static void make_all(struct codec *codec) {
  codec->key.counter = 0;
  for (size_t i = 0; i < codec->frame_count; i++) {
    seal(codec->frames + i * codec->frame_bytes, TYPE_DATA, 1, i, codec->options->payload_bytes, &codec->key);
  }
}

static void judge_all(struct codec *codec) {
  codec->key.counter = 0;
  for (size_t i = 0; i < codec->frame_count; i++) {
    if (!frame_is_whole(codec->frames + i * codec->frame_bytes, &codec->key)) die("frame %zu is not whole", i);
    codec->key.counter++;
  }
}

/** The least of some rounds: what else the machine does can only add to it. */
static double least_ns(struct codec *codec, void (*all)(struct codec *)) {
  double least = 1e18;
  for (int round = 0; round < ROUNDS; round++) {
    double start = cpu_seconds(), elapsed;
    size_t frames = 0;
    do {
      all(codec);
      frames += codec->frame_count;
      elapsed = cpu_seconds() - start;
    } while (elapsed < codec->options->seconds / ROUNDS);
    double each = elapsed * 1e9 / (double)frames;
    if (each < least) least = each;
  }
  return least;
}

/** Each addition waits for the one before it, and takes a cycle. */
static double cycle_ns(void) {
  double least = 1e18;
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t sum = 0;
    double start = cpu_seconds();
    for (int i = 0; i < ADDITIONS / 8; i++) {
#define ADD sum += 3; __asm__ volatile("" : "+r"(sum));
      ADD ADD ADD ADD ADD ADD ADD ADD
    }
    double each = (cpu_seconds() - start) * 1e9 / ADDITIONS;
    if (each < least) least = each;
  }
  return least;
}

int run_codec(const struct options *options) {
  if (options->payload_bytes > PAYLOAD_BYTES_MAX) die("a payload has at most %d bytes", PAYLOAD_BYTES_MAX);
  struct codec codec = {.options = options, .frame_bytes = frame_bytes(options->payload_bytes)};
  codec.key = (struct sip_key){0x0706050403020100, 0x0f0e0d0c0b0a0908, 0, options->key_id != NULL};
  codec.frame_count = WORKING_SET_BYTES / codec.frame_bytes;
  codec.frames = allocate(codec.frame_count * codec.frame_bytes);
  for (size_t i = 0; i < codec.frame_count; i++) {
    fill_payload(codec.frames + i * codec.frame_bytes + FRAME_HEADER_BYTES, options->payload_bytes, (uint32_t)i);
  }
  double encode_ns = least_ns(&codec, make_all), check_ns = least_ns(&codec, judge_all), cycle = cycle_ns();
  size_t stripes = options->payload_bytes / STRIPE_BYTES;
  printf("{\"mode\":\"codec\",\"payloadBytes\":%zu,\"keyed\":%s,\"encodeNs\":%.2f,\"checkNs\":%.2f,"
         "\"cycleNs\":%.4f,\"multiplicationsNs\":%.1f}\n",
         options->payload_bytes, options->key_id ? "true" : "false", encode_ns, check_ns, cycle,
         (double)(stripes * MULTIPLICATIONS_PER_STRIPE) * cycle);
  return 0;
}
