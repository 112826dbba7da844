import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { newEncoder, readVectors } from '../frame/support.js';
import { runCommand } from '../support/command.js';

const vectors = readVectors();
const folder = mkdtempSync(join(tmpdir(), 'frame-'));
afterAll(() => rmSync(folder, { recursive: true }));

const run = async (args: string[], input: string | Uint8Array = '') => {
  const { code, stdout, stderr } = await runCommand(['frame', ...args], input);
  return { code, stdout: stdout.toString(), stderr };
};

const validHex = vectors.valid.map(({ hex }) => hex).join('\n');
const valid = Buffer.from(validHex.replaceAll('\n', ''), 'hex');
const corrupt = vectors.invalid.find(({ error }) => error === 'PAYLOAD_CORRUPT')!.hex;

describe('decode', () => {
  test('hex, a raw capture and a file give the same table, and code 0', async () => {
    const file = join(folder, 'capture');
    writeFileSync(file, valid);
    const table = await run(['decode'], validHex);
    expect(table.code).toBe(0);
    expect(table.stdout.split('\n')).toHaveLength(vectors.valid.length + 3);
    expect(table.stdout).toMatch(/\n12 frames, 696 bytes, no check fails\n$/);
    expect(await run(['decode'], valid)).toEqual(table);
    expect(await run(['decode', file])).toEqual(table);
    expect(await run(['decode', '--hex', '-'], validHex)).toEqual(table);
  });

  test('a check that fails is told in each view, and the code is 1', async () => {
    const input = `${vectors.valid[0]!.hex}${corrupt}${vectors.valid[0]!.hex}`;
    for (const view of [[], ['--fields']]) {
      const { code, stdout } = await run(['decode', ...view], input);
      expect(code).toBe(1);
      expect(stdout).toContain('! PAYLOAD_CORRUPT: payload check at byte 72\n');
      expect(stdout).toMatch(/3 frames, 136 bytes, 1 check failed\n$/);
    }
    const { code, stdout } = await run(['decode', '--json'], input);
    expect(code).toBe(1);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { ok: boolean }).ok)).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('an input that ends too early fails', async () => {
    const { code, stdout } = await run(['decode'], valid.subarray(0, 690));
    expect(code).toBe(1);
    expect(stdout).toContain('! TRUNCATED: payload at byte 688');
  });

  test('--from refuses what that side never sends', async () => {
    const { hex } = vectors.invalid.find(({ name }) => name === 'WELCOME sent by a client')!;
    expect((await run(['decode', '--from', 'client'], hex)).stdout).toContain(
      '! UNKNOWN_TYPE: type',
    );
    expect((await run(['decode', '--from', 'server'], hex)).stdout).not.toContain('UNKNOWN_TYPE');
  });

  test('no input is no frame', async () => {
    const { code, stdout } = await run(['decode']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n0 frames, 0 bytes, no check fails\n$/);
  });

  test('an input larger than its heap goes through it', async () => {
    const encoder = newEncoder(1 << 20);
    while (encoder.fits(0)) encoder.put({ type: 0x20, stream: 1, sequence: 1n });
    const block = Buffer.from(encoder.view());
    const input = Buffer.concat(Array.from({ length: 16 }, () => block));
    const { code, stdout } = await runCommand(['frame', 'decode'], input, {
      NODE_OPTIONS: '--max-old-space-size=24',
    });
    expect(code).toBe(0);
    const count = input.length / 40;
    expect(stdout.toString().slice(-60)).toContain(
      `${count} frames, ${input.length} bytes, no check fails`,
    );
  });
});

describe('encode', () => {
  test('what decode says makes the same frames again', async () => {
    const { stdout } = await run(['decode', '--json'], validHex);
    const { code, stdout: hex } = await run(['encode'], stdout);
    expect(code).toBe(0);
    // Padding that is not zero is not kept.
    expect(hex.trimEnd().split('\n')).toEqual(
      vectors.valid.map((each) => each.hex.replace(/a{10}$/, '0000000000')),
    );
    expect((await runCommand(['frame', 'encode', '--raw'], stdout)).stdout.toString('hex')).toBe(
      hex.replaceAll('\n', ''),
    );
  });

  test('names, text and JSON', async () => {
    const { stdout } = await run(
      ['encode'],
      '{"type":"DATA","flags":["ACK_REQUESTED"],"stream":7,"sequence":42,"timestamp":"1750000000123456789","text":"hello world"}' +
        '{"type":"OPEN","sequence":"2","json":{"subject":"orders.eu"}}',
    );
    const wanted = ['DATA, 11 bytes, ACK_REQUESTED', 'OPEN'];
    expect(stdout.trimEnd().split('\n')).toEqual(
      wanted.map((name) => vectors.valid.find((each) => each.name === name)!.hex),
    );
  });

  test.each([
    ['{"type":"DATUM"}', /object 1: type: /],
    ['{"type":1}{"type":"PING","sequnce":1}', /object 2: .*sequnce/],
    ['{"type":1,"sequence":"18446744073709551616"}', /sequence: at most 2\^64 - 1/],
    ['{"type":1,"text":"a","payload":"00"}', /one of payload \(hex\), text and json/],
    ['{"type":1,"payload":"0"}', /payload: pairs of hex digits/],
    [`{"type":1,"text":"${'x'.repeat(65497)}"}`, /at most 65496 bytes, this one 65497/],
    ['{"type":1,"flags":["KEYED"]}', /a KEYED frame needs a key/],
    ['PING', /"P" where an object/],
  ])('case %# is refused with code 1', async (input, message) => {
    const { code, stderr } = await run(['encode'], input);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/\(MS_ERR_INPUT\)\n$/);
  });
});

test.each([
  [['decod'], /frame takes decode or encode, not "decod"; did you mean "decode"\?/],
  [[], /frame takes decode or encode/],
  [['decode', '--hex', '--raw'], /exclude each other/],
  [['decode', '--json', '--fields'], /exclude each other/],
  [['decode', '--from', 'me'], /client or server is wanted/],
  [['decode', 'a', 'b'], /takes one FILE, not 2/],
  [['encode', '--json'], /--json/],
])('frame %j is refused with code 2', async (args, message) => {
  const { code, stderr } = await run(args);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

describe('with a key', () => {
  const keyFile = join(folder, 'key');
  const { clientToServerKey } = vectors['hmac-sha256'];
  writeFileSync(keyFile, `${clientToServerKey}\n`);

  test.each(vectors.keyed.filter(({ key }) => key === clientToServerKey))(
    'decode verifies the tag: $name',
    async ({ hex, counter, ok }) => {
      const args = ['decode', '--key-file', keyFile, '--counter', `${counter}`];
      const { code, stdout } = await run(args, hex);
      expect(code).toBe(ok ? 0 : 1);
      expect(stdout.includes('! BAD_TAG: tag at byte 32')).toBe(!ok);
      expect(stdout).not.toContain('not verified');
    },
  );

  test('encode makes the tags, and behind a keyed frame decode takes no unkeyed one', async () => {
    const wanted = vectors.keyed.slice(0, 2).map(({ hex }) => hex);
    const { stdout: json } = await run(['decode', '--json'], wanted.join(''));
    const { stdout } = await run(['encode', '--key-file', keyFile], json);
    expect(stdout.trimEnd().split('\n')).toEqual(wanted);
    const mixed = `${vectors.valid[0]!.hex}${wanted[0]!}${vectors.valid[0]!.hex}`;
    const { code, stdout: table } = await run(['decode', '--key-file', keyFile], mixed);
    expect(code).toBe(1);
    expect(table).toContain('! BAD_TAG: flags at byte 108');
  });

  test('a key that is none is refused, and not quoted', async () => {
    const file = join(folder, 'short');
    writeFileSync(file, 'secretsecret');
    const { code, stderr } = await run(['decode', '--key-file', file], '');
    expect(code).toBe(1);
    expect(stderr).toMatch(/a key has 16 bytes/);
    expect(stderr).not.toContain('secretsecret');
    expect((await run(['decode', '--counter', '1'])).code).toBe(2);
  });
});
