/**
 * What the acceptor, the shards and control share beside the rings, and what each shard has for itself.
 * Constants only: compiled both by TypeScript and by AssemblyScript. Asserted by `test/shards/layout.test.ts`.
 *
 *   shared area   | settings | shard rows (128 B each, 64) | hand-off rings (one a shard) | connection table |
 *   shard's area  | header + pool table | scratch | meters | stream lists | stream flags | hash | rows of the pools … |
 */

// ---- Shared area: the settings page, written by control, read by every shard (settings.ts) ----
/** u32, atomic: grows with everything that control does to this page. */
export const SETTINGS_CHANGE = 0;
/** u32, atomic: the version that is live; 0 = none yet. Its words lie in the slot of its lowest bit. */
export const SETTINGS_LIVE = 4;
/** u32, atomic: the version that is offered, in the other slot; 0 = none. */
export const SETTINGS_OFFER = 8;
/** Two slots of u32 words, atomic. */
export const SETTINGS_SLOTS = 16;
export const SETTINGS_SLOT_BYTES = 48;
export const SETTINGS_HEARTBEAT_MS = 0;
export const SETTINGS_SLOW_CONSUMER_MS = 4;
export const SETTINGS_SUBSCRIPTIONS_MAX = 8;
export const SETTINGS_PUBLICATIONS_MAX = 12;
export const SETTINGS_IDLE_STRATEGY = 16;
export const SETTINGS_AUTH_FLAGS = 20;
export const SETTINGS_HANDSHAKE_MS = 24;
export const SETTINGS_PENDING_MAX = 28;
export const SHARED_HEADER_BYTES = 128;
/** Bits of SETTINGS_AUTH_FLAGS. */
export const AUTH_REQUIRED = 1;
export const AUTH_KEYING_REQUIRED = 2;
export const AUTH_INSECURE_TOKENS = 4;

// ---- Shared area: a row for each shard (index = its thread number) ----
export const SHARD_ROW_BYTES = 128;
export const SHARD_ROWS = 64;
/** u32, atomic; control: SHARD_ABSENT, SHARD_LIVE or SHARD_DEAD. */
export const SHARD_STATE = 0;
/** u32, atomic: connections handed to it and not yet closed. */
export const SHARD_CONNECTIONS = 4;
/** u32, atomic; written by the acceptor: next entry to fill. */
export const SHARD_RING_TAIL = 64;
/** u32, atomic; written by the shard: next entry to take. */
export const SHARD_RING_HEAD = 68;

/** u32, atomic; written by the shard: its epoll fd + 1, so that control can close a dead shard's; 0 = none. */
export const SHARD_EPOLL = 72;

export const SHARD_ABSENT = 0;
export const SHARD_LIVE = 1;
export const SHARD_DEAD = 2;

/** Thread 0 is control and has no ring: its place is the acceptor's scratch. */
/** Entries of a hand-off ring: slots, u32 each. A power of two. */
export const HANDOFF_ENTRIES = 1024;
export const HANDOFF_RING_BYTES = 4096;
export const SHARED_RINGS_BYTE_OFFSET = 8320;
export const SHARED_TABLE_BYTE_OFFSET = 270464;

// ---- Connection row; slot 0 is never used ----
export const CONNECTION_BYTES = 128;
/** u32, atomic: who owns the fd. free → handed (acceptor) → owned (shard) → free; control frees a dead shard's. */
export const CONNECTION_STATE = 0;
/** u32, atomic: the fd + 1; 0 = none. Cleared before the fd is closed. */
export const CONNECTION_FD = 4;
/** u64; written by the acceptor: the socket's cookie, by which control knows that the fd is still this socket. */
export const CONNECTION_COOKIE = 8;
/** u32; written by the acceptor. */
export const CONNECTION_SHARD = 16;
/** u32; written by the acceptor: counts the slot's lives, so that a stale event is known as such. */
export const CONNECTION_GENERATION = 20;
// From here on private to the shard, zeroed when it takes the connection over.
export const CONNECTION_PRIVATE = 24;
export const CONNECTION_FLAGS = 24;
/** u32: tick at which a frame was last heard; tick at which the last PING was sent. */
export const CONNECTION_HEARD = 28;
export const CONNECTION_PINGED = 32;
/** u32: input that is not handled yet: byte offset (0 = none), bytes, and the pool it came from. */
export const CONNECTION_INPUT = 36;
export const CONNECTION_INPUT_BYTES = 40;
export const CONNECTION_INPUT_POOL = 44;
export const CONNECTION_INPUT_ROW = 48;
/** u32: control frames to be sent: first and last block, and how many. */
export const CONNECTION_OUT_HEAD = 52;
export const CONNECTION_OUT_TAIL = 56;
export const CONNECTION_OUT_BLOCKS = 60;
/** u32: first cursor of this connection, and the one whose turn it is. */
export const CONNECTION_CURSORS = 64;
export const CONNECTION_CURSOR_TURN = 68;
/** u32: first publication, the one used last, and the first with an ACK to be sent. */
export const CONNECTION_PUBLICATIONS = 72;
export const CONNECTION_PUBLICATION_LAST = 76;
export const CONNECTION_ACKS = 80;
/** u32: what is left of a half-sent frame: byte offset, bytes, the cursor in whose segment it lies (0 = a stash), that stash. */
export const CONNECTION_REST = 84;
export const CONNECTION_REST_BYTES = 88;
export const CONNECTION_REST_CURSOR = 92;
export const CONNECTION_REST_STASH = 96;
/** u32: next in the queue of connections with something to send. */
export const CONNECTION_SEND_NEXT = 100;
/** u32: the stream whose full log holds this connection back. */
export const CONNECTION_HELD_STREAM = 104;
/** u32: publications, so that `limits.publications` can be kept. */
export const CONNECTION_PUBLICATION_COUNT = 108;
/** u32: cursors with something to show, as far as is known. */
export const CONNECTION_READY_CURSORS = 112;
/** u32: bytes that the kernel must have before this socket is read again (frames that stay in the kernel). */
export const CONNECTION_LOW_WATER = 116;
/** u32: the row of its keys (POOL_KEYS); 0 = frames are checked, not keyed. */
export const CONNECTION_KEYS = 120;
/** u32: the version that it speaks, where it is not that of logs; else 0. */
export const CONNECTION_VERSION = 124;

export const CONNECTION_FREE = 0;
export const CONNECTION_HANDED = 1;
export const CONNECTION_OWNED = 2;

/** The kernel may have bytes for us; it tells only of new ones. */
export const FLAG_READABLE = 1;
export const FLAG_IN_RECEIVE_QUEUE = 2;
export const FLAG_IN_SEND_QUEUE = 4;
/** The kernel took less than it was given; it tells when there is room. */
export const FLAG_SEND_BLOCKED = 8;
/** Not received from, because a log is full; because control was asked; because its own output waits. */
export const FLAG_HELD_BY_LOG = 16;
export const FLAG_HELD_BY_CONTROL = 32;
export const FLAG_HELD_BY_OUTPUT = 64;
/** The peer has ended its sending side. */
export const FLAG_END_OF_INPUT = 128;
/** No input is handled any more; closes when the output is sent. */
export const FLAG_CLOSING = 256;
/** Our sending side is ended; input is discarded for a while. */
export const FLAG_LINGERING = 512;
/** A frame was handled, so HELLO is too late. */
export const FLAG_STARTED = 1024;
/** GOODBYE was sent by us. */
export const FLAG_GOODBYE = 2048;
/** Something came after our GOODBYE. */
export const FLAG_LATE = 4096;
/** The kernel has told of the peer's end; what it sent before may still be there to be read. */
export const FLAG_END_SEEN = 8192;
/** Who it is has still to be shown: only the frames of the handshake are taken, and small ones. */
export const FLAG_STRANGER = 16384;

// ---- Shard's area: header ----
export const AREA_STREAM_LISTS = 0;
export const AREA_STREAM_FLAGS = 4;
export const AREA_BUCKETS = 8;
export const AREA_BUCKET_MASK = 12;
export const AREA_SHARED = 16;
export const AREA_STREAMS_MAX = 20;
export const AREA_POOLS = 64;

/** A pool's row: base byte offset, bytes a row, rows, first free row, rows ever used, rows in use. */
export const POOL_BYTES = 32;
export const POOL_BASE = 0;
export const POOL_ROW_BYTES = 4;
export const POOL_ROWS = 8;
export const POOL_FREE = 12;
export const POOL_TOUCHED = 16;
export const POOL_IN_USE = 20;

export const POOL_PUBLICATIONS = 0;
export const POOL_CURSORS = 1;
export const POOL_SUBSCRIPTIONS = 2;
export const POOL_OUT_BLOCKS = 3;
export const POOL_SMALL_STASHES = 4;
export const POOL_LARGE_STASHES = 5;
export const POOL_RECEIVE_BLOCKS = 6;
export const POOL_KEYS = 7;
export const POOL_COUNT = 8;

/** Scratch, behind the header: the clock's word, spans for one send, what each span is, news for JavaScript. */
export const AREA_CLOCK = 512;
/** 32 bytes: the keys of both directions on their way to a row; wiped by `openKeys`. */
export const AREA_NEW_KEYS = 528;
export const AREA_SPANS = 1024;
export const AREA_SPAN_REFS = 1536;
export const AREA_NEWS = 2048;
export const AREA_NEWS_MAX = 256;
/** 16 bytes: the address of a peer that says who it is. */
export const AREA_PEER = 560;
/** u32 each: ERROR frames sent by this shard, by code. */
export const AREA_ERROR_COUNTS = 3072;
export const ERROR_COUNTS = 64;
/** What one send to a keyed connection is made of: its spans, and the headers and small frames that are made for it, and eight bytes more. */
export const AREA_KEYED_SPANS = 4096;
export const AREA_KEYED_SCRATCH = 8192;
export const AREA_METERS = 274432;

export const SPANS_MAX = 32;

// ---- Meters, at AREA_METERS: histograms of what a shard does, written by it alone, read by control (meters.ts) ----
/** Whether there are any. The build that shows what they cost makes a switch of it (perf/meters.mjs). */
export const METERED = true as boolean;
/** ns: from one return of epoll_wait to the next, without the time asleep. */
export const METER_TURN = 0;
/** ns: from the turn in which the oldest frame of a span came to the end of the turn that sent it, or to a reading of the clock within. */
export const METER_DELAY = 1;
/** DATA frames taken from one stretch of received bytes. */
export const METER_RECEIVED = 2;
/** DATA frames in one send. */
export const METER_SENT = 3;
export const METER_COUNT = 4;
/** Each power of two has so many buckets (as a power of two): a bucket is at most 1/16 of its values wide. */
export const METER_SUB_BUCKET_BITS = 4;
/** Values from 2^40 on (in ns: 18 minutes) share the last bucket with those just below. */
export const METER_VALUE_BITS = 40;
export const METER_BUCKETS =
  (METER_VALUE_BITS - METER_SUB_BUCKET_BITS + 1) << METER_SUB_BUCKET_BITS;
/** u64 each: the sum of all values, the greatest one, how many there are by bucket. */
export const METER_SUM = 0;
export const METER_MAX = 8;
export const METER_FIRST_BUCKET = 128;
export const METER_BYTES = METER_FIRST_BUCKET + METER_BUCKETS * 8;
/** u64, in ns: the longest turn since control took it last, by an exchange for 0. */
export const AREA_LONGEST_TURN = AREA_METERS + METER_COUNT * METER_BYTES;
/** u64 each: when the oldest frames of the spans came that were sent since the clock was read. */
export const AREA_METERED_SENDS = AREA_LONGEST_TURN + 128;
/** Connections that are sent to between two readings of the clock, the sends to each, and the spans of a send. */
export const SENDERS_PER_CLOCK = 16;
export const SENDS_PER_CONNECTION = 4;
export const METERED_SENDS_MAX = SENDERS_PER_CLOCK * SENDS_PER_CONNECTION * SPANS_MAX;
/** Whole pages: nothing else lies where control reads. */
export const AREA_HEADER_BYTES = (AREA_METERED_SENDS + METERED_SENDS_MAX * 8 + 4095) & ~4095;

/** What a span of a send is: the rest of a half-sent frame, control frames, or a cursor's (its number). */
export const SPAN_REF_REST = -1;
export const SPAN_REF_OUT = -2;
/** Of a keyed connection: the rest of a half-sent header. */
export const SPAN_REF_REST_HEADER = -3;
/** Bytes of one send to a keyed connection, if it is more than one frame: tags of what the kernel does not take are made in vain. */
export const KEYED_SEND_BYTES_MAX = 262144;
/** Frames up to this are copied beside their headers; one that is not takes two spans. */
export const KEYED_COPY_BYTES_MAX = 2048;
export const KEYED_SPANS_MAX = 512;

// ---- Row of a keyed connection's keys (frame/layout.ts: KEY_FIRST …), wiped when it is given back ----
export const KEYS_BYTES = 128;
/** 24 bytes each: of what the client sends, and of what it is sent. */
export const KEYS_IN = 0;
export const KEYS_OUT = 24;
/** u32: how many bytes at the end of the header below are still to be sent. */
export const KEYS_REST_BYTES = 48;
/** u32: 1 = there is no key; the row is for frames of another version than that of logs. */
export const KEYS_NONE = 52;
export const KEYS_REST_HEADER = 56;

// ---- Publication row: a stream that a connection has opened ----
export const PUBLICATION_BYTES = 64;
export const PUBLICATION_CHAIN_NEXT = 0;
export const PUBLICATION_STREAM = 4;
export const PUBLICATION_CONNECTION = 8;
export const PUBLICATION_NEXT = 12;
/** u64: the highest number that the publisher gave. */
export const PUBLICATION_NUMBER = 16;
/** u64: the number to be acknowledged (0 = none), and the sequence that the stream gave it. */
export const PUBLICATION_ACK_NUMBER = 24;
export const PUBLICATION_ACK_SEQUENCE = 32;
export const PUBLICATION_ACK_NEXT = 40;

// ---- Cursor row: the ring's cursor, then whose it is ----
export const CURSOR_ROW_BYTES = 128;
export const CURSOR_CONNECTION = 64;
export const CURSOR_STREAM_NEXT = 68;
export const CURSOR_STREAM_PREVIOUS = 72;
export const CURSOR_CONNECTION_NEXT = 76;
export const CURSOR_FLAGS = 80;
export const CURSOR_SUBSCRIPTION = 84;
/** u32 each: the segment in which it was seen holding others back, and since which tick. */
export const CURSOR_AGED_SEGMENT = 88;
export const CURSOR_AGED_SINCE = 92;
/** u64: frames before this sequence were there before the subscription: how old they are is no delay. */
export const CURSOR_LIVE_FROM = 96;

export const CURSOR_FLAG_READY = 1;
/** The client must be told the stream's subject before its first DATA. */
export const CURSOR_FLAG_ANNOUNCE = 2;

// ---- Subscription row: what several cursors of one subscription share ----
export const SUBSCRIPTION_BYTES = 16;
/** u64: DATA frames that may still be sent; the highest value = without limit. */
export const SUBSCRIPTION_CREDIT = 8;

// ---- Output block ----
export const OUT_BLOCK_BYTES = 4096;
export const OUT_NEXT = 0;
export const OUT_READ = 4;
export const OUT_WRITE = 8;
export const OUT_HEADER_BYTES = 16;
/** The largest control frame, header and padding included. */
export const OUT_FRAME_BYTES_MAX = 4080;
/** Blocks of control frames that one connection may have waiting. */
export const OUT_BLOCKS_MAX = 16;
/** With so many waiting, it is not received from. */
export const OUT_BLOCKS_HELD = 4;

export const SMALL_STASH_BYTES = 1024;
export const LARGE_STASH_BYTES = 65536;
/** What one `recv` may take: the more the fewer wake-ups there are for a byte. Shards with little memory have smaller blocks. */
export const RECEIVE_BLOCK_BYTES_MIN = 262144;
export const RECEIVE_BLOCK_BYTES_MAX = 1048576;

/** What `ingest` answers. */
export const INGEST_DONE = 0;
export const INGEST_CONTROL = 1;
export const INGEST_FULL = 2;
export const INGEST_FAULT = 3;
