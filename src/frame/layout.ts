/**
 * The frame, byte for byte (docs/PROTOCOL.md, section 1). Constants only: this file is compiled both
 * by TypeScript and, into the kernels, by AssemblyScript. `test/frame/layout.test.ts` asserts them.
 *
 *   0     2     3     4       6      8           12               16         24          32      36      40
 *   +-----+-----+-----+-------+------+-----------+----------------+----------+-----------+-------+-------+---------+
 *   | 4D53| ver | type| flags | code | stream id | payload length | sequence | timestamp | pcheck| hcheck| payload…
 *   +-----+-----+-----+-------+------+-----------+----------------+----------+-----------+-------+-------+---------+
 *     u16    u8    u8    u16    u16      u32            u32           u64        u64        u32     u32   + 0–7 pad
 */
export const FRAME_HEADER_BYTES = 40;
export const FRAME_ALIGN_BYTES = 8;
export const FRAME_BYTES_MAX = 65536;
export const PAYLOAD_BYTES_MAX = 65496;

/** @public The table is whole, though the kernels read it at the frame itself. */
export const MAGIC_BYTE_OFFSET = 0;
export const VERSION_BYTE_OFFSET = 2;
export const TYPE_BYTE_OFFSET = 3;
export const FLAGS_BYTE_OFFSET = 4;
export const CODE_BYTE_OFFSET = 6;
export const STREAM_BYTE_OFFSET = 8;
export const PAYLOAD_LENGTH_BYTE_OFFSET = 12;
export const SEQUENCE_BYTE_OFFSET = 16;
export const TIMESTAMP_BYTE_OFFSET = 24;
export const PAYLOAD_CHECK_BYTE_OFFSET = 32;
export const HEADER_CHECK_BYTE_OFFSET = 36;
/** In a keyed frame, in place of both checks. */
export const TAG_BYTE_OFFSET = 32;
/** The tag covers the header's bytes before it. */
export const HEADER_TAGGED_BYTES = 32;
/** @public The header check covers the bytes before it. */
export const HEADER_CHECKED_BYTES = 36;

/** The bytes `4D 53`, read as a little-endian u16. */
export const MAGIC = 0x534d;
/** In logs, and on connections until WELCOME says otherwise. */
export const PROTOCOL_VERSION = 1;
/** The newest that is spoken. */
export const PROTOCOL_VERSION_NEWEST = 1;

export const FLAG_ACK_REQUESTED = 0x0001;
/** @public Reserved by the protocol for groups. */
export const FLAG_REDELIVERED = 0x0002;
export const FLAG_KEYED = 0x8000;

/** Before authentication, where the server asks for it, a payload has at most so many bytes. */
export const PAYLOAD_BYTES_MAX_BEFORE_AUTHENTICATION = 4096;

/** The key of one direction, in a kernel's memory, 8-aligned: 16 bytes, then the u64 that counts its keyed frames. */
export const KEY_FIRST = 0;
export const KEY_SECOND = 8;
export const KEY_COUNTER = 16;
export const KEY_BYTES = 24;
export const KEY_SECRET_BYTES = 16;
