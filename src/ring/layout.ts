/**
 * The arena: one shared memory, all that crosses threads. Constants only: this file is compiled both by
 * TypeScript and, into the kernels, by AssemblyScript. `test/ring/layout.test.ts` asserts them.
 *
 *   0          1 KiB            64 KiB
 *   +----------+----------------+---------+---------+--------+----------+------------+-------------+----------+
 *   | null     | control page   | threads | streams | states | segments | pin counts | the shards' | segments |
 *   | guard    | (geometry)     |  table  |  table  |  u32[] |  table   | u16[][]    |  own areas  |  bytes   |
 *   +----------+----------------+---------+---------+--------+----------+------------+-------------+----------+
 *
 * Words that several threads touch are read and written by sequentially consistent atomics only, and lie
 * on cache lines of their own (128 bytes: two lines, because of the adjacent-line prefetcher).
 */
export const CACHE_LINE_BYTES = 128;
export const ARENA_PAGE_BYTES = 65536;

// ---- Limits that follow from the width of a word's field ----
/** One bit for each thread in a u64 mask; thread 0 is control. */
export const THREADS_MAX = 64;
/** Stream ids 1 … 65,535; id 0 in the news means "the pool". */
export const STREAMS_MAX = 65535;
export const SEGMENTS_MAX = 1048575;

// ---- Control page: geometry, u32 words; written once by control before any other thread starts ----
export const CONTROL_BYTE_OFFSET = 1024;
export const GEOMETRY_THREAD_COUNT = 1024;
export const GEOMETRY_STREAM_COUNT_MAX = 1028;
export const GEOMETRY_SMALL_COUNT = 1032;
export const GEOMETRY_MEDIUM_COUNT = 1036;
export const GEOMETRY_LARGE_COUNT = 1040;
export const GEOMETRY_NODE_COUNT = 1044;
export const GEOMETRY_THREADS_BYTE_OFFSET = 1048;
export const GEOMETRY_STREAMS_BYTE_OFFSET = 1052;
export const GEOMETRY_STATES_BYTE_OFFSET = 1056;
export const GEOMETRY_SEGMENTS_BYTE_OFFSET = 1060;
export const GEOMETRY_PIN_COUNTS_BYTE_OFFSET = 1064;
export const GEOMETRY_DATA_BYTE_OFFSET = 1068;
export const GEOMETRY_SMALL_BYTES = 1072;
export const GEOMETRY_MEDIUM_BYTES = 1076;
export const GEOMETRY_LARGE_BYTES = 1080;

// ---- Control page: words that change ----
/** u32[8][3], atomic: by node and class, the lowest place of the class that may be free. */
export const POOL_HINTS_BYTE_OFFSET = 1280;
/** u64, atomic: threads that wait for a free segment. */
export const POOL_WAITERS_BYTE_OFFSET = 1408;
/** u32, atomic; written by control: streams made so far, so that ids run 1 … count. */
export const STREAM_COUNT_BYTE_OFFSET = 1536;
/** u64, atomic; written by control: threads that live. */
export const ALIVE_MASK_BYTE_OFFSET = 1664;

// ---- Thread row ----
export const THREAD_BYTES = 8832;
/** u32, atomic; written by its thread: counts turns. Recovery waits for it to move. */
export const THREAD_TURN = 0;
/** u32, atomic: 1 while the thread means to block; who exchanges it to 0 owes it an eventfd signal. */
export const THREAD_SLEEPING = 128;
/** u64[16], atomic: a bit for each news word that is not 0. */
export const THREAD_SUMMARY = 256;
export const SUMMARY_WORDS = 16;
/** u32, atomic; written by its thread: the stream on which it may hold a claim, a lock or a segment. */
export const THREAD_CURRENT_STREAM = 512;
/** u32, atomic; written by control. */
export const THREAD_ALIVE = 516;
/** u32; written by control before the thread starts: its NUMA node, counted from 0. */
export const THREAD_NODE = 520;
/** u64[1024], atomic: a bit for each stream with news. */
export const THREAD_NEWS = 640;
export const NEWS_WORDS = 1024;

// ---- Stream row ----
export const STREAM_BYTES = 512;
/** u64, atomic: the tail, `segment:20 | record:13 | byte offset:18 | frames:13`. */
export const STREAM_TAIL = 0;
/** u64, atomic: threads with subscribers of this stream. */
export const STREAM_SUBSCRIBERS = 128;
/** u64, atomic: threads that wait until this log has room. */
export const STREAM_WAITERS = 136;
/** u32, atomic; written under the lock: the oldest segment. */
export const STREAM_HEAD = 144;
/** u32, atomic: 0, or the owner's thread + 1, and on top a bit that somebody found it taken. */
export const STREAM_LOCK = 148;
export const LOCK_CONTENDED = 0x80000000;
/** u32; written by control: bytes that the log's segments may take. */
export const STREAM_LIMIT_BYTES = 152;
/** u32, atomic; written by control: 0 = block, 1 = evict. */
export const STREAM_ON_FULL = 156;
/** u64; written by control at birth. */
export const STREAM_EPOCH = 160;
/** u32; written by control at birth, before the id is told to anybody. */
export const STREAM_SUBJECT_BYTES = 168;
export const STREAM_SUBJECT = 256;

export const ON_FULL_BLOCK = 0;
export const ON_FULL_EVICT = 1;

// ---- Segment row; all but the pins are written by the owner before the segment is in a chain ----
export const SEGMENT_BYTES = 64;
/** u64, atomic: a bit for each thread that reads here. */
export const SEGMENT_PINS = 0;
/** u64: sequence of its first frame. */
export const SEGMENT_BASE_SEQUENCE = 8;
/** u64: bytes of all segments that came before it in the stream's life. */
export const SEGMENT_CAPACITY_BEFORE = 16;
/** u32: 0, 1, 2 … along the stream's life. */
export const SEGMENT_ORDINAL = 24;
/** u32 each: the segment before it, and where that one ended. */
export const SEGMENT_PREVIOUS = 28;
export const SEGMENT_PREVIOUS_RECORD = 32;
export const SEGMENT_PREVIOUS_OFFSET = 36;
export const SEGMENT_PREVIOUS_FRAMES = 40;
/** u32, atomic: the stream it is or last was part of; who unpins it by mistake finds out whom that held up. */
export const SEGMENT_STREAM = 44;
/** u64: timestamp of the first frame that was claimed in it, ns; 0 = a stream's very first segment. */
export const SEGMENT_FIRST_TIMESTAMP = 48;
/** u32, atomic: 0 = its pages were never touched or are given back; else 1 + the looks at which it was found free. */
export const SEGMENT_IDLE = 56;

/** States (a dense u32 table apart): what the segment is, and in the low 24 bits whose. */
export const STATE_FREE = 0;
export const STATE_OWNED = 0x01000000;
export const STATE_CHAIN = 0x02000000;
export const STATE_RETIRING = 0x03000000;

/** A directory record takes 8 bytes, and there is at most one for each 64 bytes of a segment. */
export const RECORD_BYTES = 8;
export const SEGMENT_BYTES_PER_RECORD = 64;

// ---- Cursor: a reader's place in a stream; owned by one thread ----
export const CURSOR_BYTES = 64;
export const CURSOR_STREAM = 0;
/** 0 = detached: nothing is pinned, and `CURSOR_NEXT_SEQUENCE` alone says where it stands. */
export const CURSOR_SEGMENT = 4;
export const CURSOR_RECORD = 8;
export const CURSOR_OFFSET = 12;
export const CURSOR_FRAME = 16;
/** Where the cursor will stand once the span that was last shown is sent whole. */
export const CURSOR_SPAN_RECORD = 20;
export const CURSOR_SPAN_END_FRAME = 24;
export const CURSOR_SPAN_ADDRESS = 28;
export const CURSOR_SPAN_BYTES = 32;
/** u64 each, of the last gap shown: the first sequence that is missing, the next that will come. */
export const CURSOR_GAP_FIRST = 40;
export const CURSOR_NEXT_SEQUENCE = 48;

/** What `peek` answers. */
export const SPAN_NONE = 0;
export const SPAN_DATA = 1;
export const SPAN_GAP = 2;

/** Where a subscription begins (docs/PROTOCOL.md, section 5). */
export const FROM_NEW = 0;
export const FROM_FIRST = 1;
export const FROM_LAST = 2;
export const FROM_SEQUENCE = 3;
export const FROM_TIME = 4;

/** What `seek` answers beside: the wanted place no longer exists; it starts at the oldest. */
export const SEEK_OK = 0;
export const SEEK_RESET = 1;
