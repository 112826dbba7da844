import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { harness } from '../support/shard-harness.js';
import { data, encode, ping } from '../support/test-peer.js';

function corruptPayload(frame: Buffer): Buffer {
  frame[40]! ^= 1;
  return frame;
}

test('DATA without ACK_REQUESTED is taken and not answered', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  peer.publish(stream, 'x');
  expect(peer.ask(ping())).toEqual(['PONG #1']);
  expect(h.control.nextSequenceOf(stream)).toBe(2n);
});

test('ACKs are cumulative: neighbours are answered by one, with the sequence of the last', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  peer.write(Buffer.concat([10, 20, 30].map((number) => data(stream, 'x', number))));
  h.run();
  expect(peer.told()).toEqual(['ACK 1#30=3']);
  peer.publish(stream, 'y', 31);
  h.run();
  expect(peer.told()).toEqual(['ACK 1#31=4']);
});

test('each stream of a connection has its own numbers and ACKs', () => {
  const h = harness();
  const peer = h.connect();
  const [a, b] = [peer.open('a'), peer.open('b')];
  peer.write(Buffer.concat([data(a, 'x', 5), data(b, 'x', 5), data(a, 'x', 6), data(b, 'x')]));
  h.run();
  expect(peer.told().sort()).toEqual(['ACK 1#6=2', 'ACK 2#5=1']);
});

test.each([0, 4, 5])('number %i after 5 is MALFORMED, and the frame is not taken', (number) => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  peer.publish(stream, 'first', 5);
  h.run();
  peer.told();
  const frame = encode({
    type: codes.TYPE_DATA,
    flags: 1,
    stream,
    sequence: BigInt(number),
    payload: Buffer.from('again'),
  });
  peer.write(Buffer.concat([frame, data(stream, 'third', 6)]));
  h.run();
  expect(peer.told()).toEqual([`ERROR MALFORMED 1#${number}`, 'ACK 1#6=2']);
});

test('a number without ACK_REQUESTED counts among the earlier ones', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  peer.send({ type: codes.TYPE_DATA, stream, sequence: 9n });
  peer.write(Buffer.concat([data(stream, 'x', 9), data(stream, 'x', 10)]));
  h.run();
  expect(peer.told()).toEqual(['ERROR MALFORMED 1#9', 'ACK 1#10=2']);
});

test('a payload that fails its check costs that frame only, and its ERROR precedes the later ACK', () => {
  const h = harness();
  const [peer, subscriber] = [h.connect(), h.connect()];
  const stream = peer.open('a');
  subscriber.subscribe('a');
  const bad = corruptPayload(data(stream, 'two', 2));
  peer.write(Buffer.concat([data(stream, 'one', 1), bad, data(stream, 'three', 3)]));
  h.run();
  expect(peer.told()).toEqual(['ERROR PAYLOAD_CORRUPT 1#2', 'ACK 1#3=2']);
  expect(subscriber.told()).toEqual(
    ['SUBSCRIBED a 1@1', 'DATA 1#1 one', 'DATA 1#2 three'].slice(1),
  );
});

test('the first frame of a run that fails its check still counts its number', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  peer.write(Buffer.concat([corruptPayload(data(stream, 'x', 7)), data(stream, 'y', 7)]));
  h.run();
  expect(peer.told()).toEqual(['ERROR PAYLOAD_CORRUPT 1#7', 'ERROR MALFORMED 1#7']);
});

test('a control frame whose payload fails its check is dropped', () => {
  const h = harness();
  const peer = h.connect();
  const frame = encode({ ...ping(3n), payload: Buffer.from('hello') });
  peer.write(Buffer.concat([corruptPayload(frame), encode(ping(4n))]));
  h.run();
  expect(peer.told()).toEqual(['ERROR PAYLOAD_CORRUPT 0#3', 'PONG #4']);
});

test('DATA on a stream that this connection has not opened is UNKNOWN_STREAM', () => {
  const h = harness();
  const [first, second] = [h.connect(), h.connect()];
  const stream = first.open('a');
  second.publish(stream, 'x', 3);
  second.publish(77, 'x', 4);
  expect(second.ask(ping())).toEqual([
    'ERROR UNKNOWN_STREAM 1#3',
    'ERROR UNKNOWN_STREAM 77#4',
    'PONG #1',
  ]);
  expect(h.control.nextSequenceOf(stream)).toBe(1n);
});

test('DATA on stream 0 is UNEXPECTED, and what came before is appended and acknowledged', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  peer.write(Buffer.concat([data(stream, 'x', 1), data(0, 'x', 2), data(stream, 'x', 3)]));
  h.run();
  expect(peer.told()).toEqual(['ACK 1#1=1', 'ERROR UNEXPECTED 0#2']);
  expect(peer.fake.ended).toBe(true);
  expect(h.control.nextSequenceOf(stream)).toBe(2n);
});

test.each([
  ['BAD_MAGIC', 0, 0x58, '0#0'],
  ['UNSUPPORTED_VERSION', 2, 2, '0#0'],
  ['FRAME_TOO_LARGE', 14, 1, '0#0'],
  ['HEADER_CORRUPT', 8, 9, '0#0'],
  ['BAD_TAG', 5, 0x80, '0#0'],
])('%s ends the connection, after what came before', (name, at, byte, quoted) => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  const bad = data(stream, 'bad', 2);
  bad[at] = byte;
  peer.write(Buffer.concat([data(stream, 'good', 1), bad]));
  h.run();
  expect(peer.told()).toEqual(['ACK 1#1=1', `ERROR ${name} ${quoted}`]);
  expect(peer.fake.ended).toBe(true);
});

test.each([codes.TYPE_WELCOME, codes.TYPE_GAP, codes.TYPE_OPENED, 0x3f, 0x60, 0xff])(
  'type %i of a client is UNKNOWN_TYPE, before its payload has come',
  (type) => {
    const h = harness();
    const peer = h.connect();
    const frame = encode({ type, stream: 3, sequence: 5n, payload: Buffer.alloc(100) });
    peer.write(frame.subarray(0, 40));
    h.run();
    expect(peer.told()).toEqual(['ERROR UNKNOWN_TYPE 3#5']);
  },
);

test('a stranger is refused at the first wrong byte', () => {
  const h = harness();
  const peer = h.connect();
  peer.write(Buffer.from('G'));
  h.run();
  expect(peer.told()).toEqual(['ERROR BAD_MAGIC 0#0']);
});

test('padding is ignored and passed on as zeros, timestamps and flags are the broker’s', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  peer.subscribe('a');
  const frame = encode({
    type: codes.TYPE_DATA,
    flags: 0x7f02,
    stream,
    timestamp: 5n,
    payload: Buffer.from('abc'),
  });
  frame.fill(0xee, 43);
  peer.write(frame);
  h.run();
  const [delivered] = peer.take();
  const now = h.sys.clockNs;
  expect([delivered!.flags, delivered!.sequence, delivered!.timestamp]).toEqual([0, 1n, now]);
  const { byteOffset, byteCount } = h.sys.deliveries.at(-1)!;
  const wire = Buffer.from(h.memory.buffer).subarray(byteOffset, byteOffset + byteCount);
  expect(wire.subarray(43)).toEqual(Buffer.alloc(5));
});

test('the largest frame goes through', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  peer.subscribe('a');
  const payload = Buffer.alloc(65496, 'z');
  peer.publish(stream, payload, 1);
  h.run();
  const frames = peer.take();
  expect(frames.map(({ type }) => type).sort()).toEqual([codes.TYPE_DATA, codes.TYPE_ACK]);
  expect(frames.find(({ type }) => type === codes.TYPE_DATA)!.payload.equals(payload)).toBe(true);
});
