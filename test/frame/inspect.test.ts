import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TYPE_DATA } from '../../src/frame/codes.js';
import { FrameKernel } from '../../src/frame/frame-kernel.js';
import { FrameInspector, type InspectedFrame } from '../../src/frame/inspect.js';
import { TYPES_FROM_CLIENT, errorName, typeName } from '../../src/frame/names.js';
import { decodeAll, newDecoder, newEncoder, pattern, readVectors } from './support.js';

const vectors = readVectors();

function inspect(bytes: Uint8Array, from?: 'client' | 'server', step = bytes.length) {
  const inspector = new FrameInspector(new FrameKernel(FrameInspector.areaBytes()), from);
  const frames: InspectedFrame[] = [];
  for (let at = 0; at < bytes.length && !inspector.isOver;) {
    at += inspector.push(bytes.subarray(at, at + step));
    for (let frame = inspector.next(); frame; frame = inspector.next()) frames.push(frame);
  }
  const last = inspector.end();
  return last === undefined ? frames : [...frames, last];
}

const good = Buffer.concat(vectors.valid.map(({ hex }) => Buffer.from(hex, 'hex')));

test.each([1, 39, 41, 10_000])('the valid vectors in pieces of %i bytes have no fault', (step) => {
  const found = inspect(good, undefined, step);
  expect(
    found.map(({ fields, payload, fault }) => [fields!.type, payload.toString('hex'), fault]),
  ).toEqual(decodeAll(newDecoder(), [good]).map(({ type, payload }) => [type, payload, undefined]));
  expect(found.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(good.length);
});

/** What depends on what the connection did before; no look at one frame can tell. */
const OF_THE_STATE = new Set(['UNKNOWN_STREAM', 'BAD_TAG']);
const judged = vectors.invalid.filter(({ error }) => !OF_THE_STATE.has(error));

test.each(judged)('$name: $error, behind a good frame', ({ name, hex, error, note }) => {
  const [first, second] = inspect(
    Buffer.concat([good.subarray(0, 40), Buffer.from(hex, 'hex')]),
    'client',
  );
  expect(first!.fault).toBeUndefined();
  const { fault } = second!;
  // Its payload breaks a rule as well, and that one is seen first.
  if (name === 'PROOF unasked') expect(fault!.error).toBe('MALFORMED');
  else expect([fault!.error, fault!.fatal]).toEqual([error, !note.startsWith('not fatal')]);
});

test('a fault says which byte, what was wanted and what was found', () => {
  const faultOf = (vector: string) => {
    const { hex } = vectors.invalid.find(({ name }) => name === vector)!;
    const { field, at, expected, found } = inspect(
      Buffer.concat([good.subarray(0, 40), Buffer.from(hex, 'hex')]),
    )[1]!.fault!;
    return [field, at, expected, found];
  };
  expect(faultOf('wrong magic')).toEqual(['magic', 40, '4d53', '4c53']);
  expect(faultOf('version 2')).toEqual(['version', 42, '1', '2']);
  expect(faultOf('payload length 65,497')).toEqual([
    'payload length',
    52,
    'at most 65496',
    '65497',
  ]);
  expect(faultOf('header check changed on the way')).toEqual([
    'header check',
    76,
    '5c124840',
    '5d124840',
  ]);
  expect(faultOf('payload changed on the way').slice(0, 2)).toEqual(['payload check', 72]);
  expect(faultOf('PING with 65 bytes')).toEqual(['payload', 80, 'at most 64 bytes', '65 bytes']);
});

test('behind a fault that is not fatal the next frame is found; behind a fatal one nothing is looked at', () => {
  const withFault = (name: string) =>
    inspect(
      Buffer.concat([
        Buffer.from(vectors.invalid.find((each) => each.name === name)!.hex, 'hex'),
        good.subarray(0, 40),
      ]),
    );
  expect(withFault('payload changed on the way').map(({ fault }) => fault?.error)).toEqual([
    'PAYLOAD_CORRUPT',
    undefined,
  ]);
  expect(withFault('header check changed on the way')).toHaveLength(1);
});

test('an input that ends within a frame says how much is missing, at every cut', () => {
  const frame = good.subarray(40, 144);
  for (let cut = 1; cut < frame.length; cut++) {
    const [only] = inspect(frame.subarray(0, cut));
    expect(only!.fault).toMatchObject({
      error: 'TRUNCATED',
      expected: cut < 40 ? '40 bytes' : '104 bytes',
      found: `${cut} bytes`,
    });
  }
});

test('a keyed frame is shown and counted, not verified', () => {
  const { hex } = vectors.invalid.find(({ error }) => error === 'BAD_TAG')!;
  const inspector = new FrameInspector(new FrameKernel(FrameInspector.areaBytes()));
  inspector.push(Buffer.from(hex, 'hex'));
  expect(inspector.next()).toMatchObject({ bytes: 40, fault: undefined });
  expect(inspector.framesUnverified).toBe(1);
});

test('it finds what the decoder finds, in frames with any one byte changed', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 300 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (payloadBytes, place, change) => {
        const encoder = newEncoder();
        encoder.put({ type: TYPE_DATA, stream: 1, payload: pattern(payloadBytes) });
        const bytes = Buffer.from(encoder.view());
        const at = place % (40 + payloadBytes);
        bytes[at] = bytes[at]! ^ change;
        const decoder = newDecoder(TYPES_FROM_CLIENT);
        const [decoded] = decodeAll(decoder, [bytes]);
        const [frame] = inspect(bytes, 'client');
        // A keyed frame is BAD_TAG to a decoder without a key, and only not verified here.
        if (errorName(decoder.fault) === 'BAD_TAG') return;
        const expected = decoder.fault ? errorName(decoder.fault) : 'PAYLOAD_CORRUPT';
        expect(frame!.fault!.error).toBe(expected);
        if (decoded !== undefined) expect(typeName(decoded.type)).toBe('DATA');
      },
    ),
    { numRuns: 2000 },
  );
});
