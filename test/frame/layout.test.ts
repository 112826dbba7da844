import { expect, it } from 'vitest';
import * as layout from '../../src/frame/layout.js';

it('the header is laid out as the protocol says', () => {
  expect({ ...layout }).toEqual({
    FRAME_HEADER_BYTES: 40,
    FRAME_ALIGN_BYTES: 8,
    FRAME_BYTES_MAX: 65_536,
    PAYLOAD_BYTES_MAX: 65_496,
    MAGIC_BYTE_OFFSET: 0,
    VERSION_BYTE_OFFSET: 2,
    TYPE_BYTE_OFFSET: 3,
    FLAGS_BYTE_OFFSET: 4,
    CODE_BYTE_OFFSET: 6,
    STREAM_BYTE_OFFSET: 8,
    PAYLOAD_LENGTH_BYTE_OFFSET: 12,
    SEQUENCE_BYTE_OFFSET: 16,
    TIMESTAMP_BYTE_OFFSET: 24,
    PAYLOAD_CHECK_BYTE_OFFSET: 32,
    HEADER_CHECK_BYTE_OFFSET: 36,
    HEADER_CHECKED_BYTES: 36,
    TAG_BYTE_OFFSET: 32,
    HEADER_TAGGED_BYTES: 32,
    PAYLOAD_BYTES_MAX_BEFORE_AUTHENTICATION: 4096,
    KEY_FIRST: 0,
    KEY_SECOND: 8,
    KEY_COUNTER: 16,
    KEY_BYTES: 24,
    KEY_SECRET_BYTES: 16,
    MAGIC: 0x534d,
    PROTOCOL_VERSION: 1,
    PROTOCOL_VERSION_NEWEST: 1,
    FLAG_ACK_REQUESTED: 1,
    FLAG_REDELIVERED: 2,
    FLAG_KEYED: 0x8000,
  });
});

it('the largest payload fills the largest frame', () => {
  expect(layout.PAYLOAD_BYTES_MAX + layout.FRAME_HEADER_BYTES).toBe(layout.FRAME_BYTES_MAX);
  expect(layout.FRAME_BYTES_MAX % layout.FRAME_ALIGN_BYTES).toBe(0);
});
