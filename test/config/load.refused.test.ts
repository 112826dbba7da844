// Bad configurations, and the exact words that each gets.
import { expect, test } from 'vitest';
import { fakeFiles, faultsOf, LARGE, type Given } from './support/sources.js';
import { GIB } from '../../src/config/units.js';

const json = (file: string): Given => ({ file });
const yaml = (text: string): Given => ({ yaml: text });
const toml = (text: string): Given => ({ toml: text });
const env = (name: string, value: string): Given => ({
  env: { [`MEMORYSTREAMER_${name}`]: value },
});
const flags = (...argv: string[]): Given => ({ argv });

const small = { ...LARGE, memoryBytes: GIB, openFilesMax: 1_000, cpus: 2 };

const CASES: readonly (readonly [given: Given, ...faults: string[]])[] = [
  // The text itself
  [json(''), '/b.json:1:1: a value is expected, but the text ends'],
  [json('[]'), '/b.json:1:1: an object with keys is expected'],
  [json('null'), '/b.json:1:1: an object with keys is expected'],
  [json('"listen"'), '/b.json:1:1: an object with keys is expected'],
  [json('{\n"shards": 1,\n}'), '/b.json:3:1: a name in double quotes is expected'],
  [json('{"shards": 1} {}'), '/b.json:1:15: the text goes on after its value'],
  [json('{"shards": 1, // one\n}'), '/b.json:1:15: a name in double quotes is expected'],
  [json('{"shards": 1, "shards": 2}'), '/b.json:1:15: "shards" stands here a second time'],
  [json('{"shards": 01}'), '/b.json:1:13: "," or "}" is expected'],
  [
    json('{"log": {"level": "in\u0000fo"}}'),
    '/b.json:1:22: the control character U+0000 is refused',
  ],
  [
    json('{"log": {"level": "in\\u0000fo"}}'),
    '/b.json:1:19: log.level: has a control character in its value; leave it out',
  ],
  [
    json('{"log\\u0007": 1}'),
    '/b.json:1:2: log?: has a control character in its name; leave it out',
  ],
  [json('\u001b[2J{}'), '/b.json:1:1: the control character U+001B is refused'],
  [json('['.repeat(100_000)), '/b.json:1:34: values are nested more than 32 deep'],
  [
    { file: Uint8Array.of(0x7b, 0xff, 0x7d) },
    '/b.json: cannot be read: it is not UTF-8; a readable file in UTF-8 is expected',
  ],
  [yaml('a: [1'), '/b.yaml:1:6: unexpected end of the stream within a flow collection'],
  [yaml('a: b: 1'), '/b.yaml:1:5: bad indentation of a mapping entry'],
  [yaml('- 1'), '/b.yaml:1:1: an object with keys is expected'],
  [yaml('shards: 1\nshards: 2'), '/b.yaml:2:1: "shards" stands here a second time'],
  [yaml('shards: 1\n---\nshards: 2'), '/b.yaml:2:1: a second document begins here'],
  [yaml('shards: 1\n...\nshards: 2'), '/b.yaml:3:1: a second document begins here'],
  [yaml('shards: 1\n---\n'), '/b.yaml:2:1: a second document begins here'],
  [yaml('shards: &a 1'), '/b.yaml:1:9: anchors are refused'],
  [yaml('&a shards: 1'), '/b.yaml:1:1: anchors are refused'],
  [yaml('a: &a [x]\nb: [*a, *a]'), '/b.yaml:1:4: anchors are refused'],
  [yaml('b: *none'), '/b.yaml:1:4: aliases are refused: write the value out'],
  [yaml('shards: !!int 1'), '/b.yaml:1:9: the tag !!int is refused'],
  [yaml('log: {level: !secret x}'), '/b.yaml:1:14: the tag !secret is refused'],
  [yaml('? [a]\n: 1'), '/b.yaml:1:3: a name is expected'],
  [yaml('log:\n  : 1'), '/b.yaml:2:3: a name is expected'],
  [yaml('log:\n\tlevel: warn'), '/b.yaml:2:1: tab characters must not be used in indentation'],
  [
    yaml('shards: 2\n bad'),
    '/b.yaml:1:9: shards: "2 bad" is not valid; allowed: "auto" or a whole number from 1 to 63',
  ],
  [yaml('['.repeat(40) + ']'.repeat(40)), '/b.yaml:1:33: values are nested more than 32 deep'],
  [
    toml(`a = ${'['.repeat(40)}${']'.repeat(40)}`),
    '/b.toml:1:37: values are nested more than 32 deep',
  ],
  [toml(`${'a.'.repeat(40)}b = 1`), '/b.toml:1:65: values are nested more than 32 deep'],
  [toml(`[${'a.'.repeat(40)}b]`), '/b.toml:1:66: values are nested more than 32 deep'],
  [toml(`[[${'a.'.repeat(40)}b]]`), '/b.toml:1:67: values are nested more than 32 deep'],
  [
    toml('shards = '),
    '/b.toml:1:10: a text in quotes, a number, true, false, a list or a table is expected',
  ],
  [
    toml('log = { level = warn }'),
    '/b.toml:1:17: a text in quotes, a number, true, false, a list or a table is expected',
  ],
  [toml('log = {level = "a", level = "b"}'), '/b.toml:1:21: this name stands here a second time'],
  [
    toml('listen.port = 1 2'),
    '/b.toml:1:17: the line goes on after its value; a text stands in quotes',
  ],
  [
    toml('[log]\nlevel = info'),
    '/b.toml:2:12: the line goes on after its value; a text stands in quotes',
  ],
  [
    toml('log = {level = info}'),
    '/b.toml:1:19: "," or an end is expected; a text stands in quotes',
  ],
  [toml('listen'), '/b.toml:1:1: incomplete key-value: cannot find end of key'],
  [toml('a = 1\n[[a]]'), '/b.toml:2:3: this name stands here a second time'],
  [toml('a\r\n= "x'), '/b.toml:1:2: illegal character in key'],
  [toml('a = 1\r\nb = "x'), '/b.toml:2:5: unfinished string'],
  [toml('shards = 1\nshards = 2'), '/b.toml:2:1: this name stands here a second time'],
  [
    toml('[listen]\nport = 1\n[listen]\nhost = "::1"'),
    '/b.toml:3:2: this name stands here a second time',
  ],
  [toml('shards = 2026-11-24'), '/b.toml:1:10: a text, a number, true or false is expected'],
  [toml('listen.port = 1\nlisten = 2'), '/b.toml:2:1: this name stands here a second time'],
  [
    toml('shards = nan'),
    '/b.toml:1:10: shards: NaN is not valid; allowed: "auto" or a whole number from 1 to 63',
  ],
  // Names
  [
    json('{"listen": {"prot": 1}}'),
    '/b.json:1:13: listen.prot: is not a known key; did you mean listen.port?',
  ],
  [json('{"lisen": {"port": 1}}'), '/b.json:1:2: lisen: is not a known key; did you mean listen?'],
  [
    yaml('quite:\n  other: 1'),
    '/b.yaml:1:1: quite: is not a known key; known here are listen, shards, memory, limits, streams, auth, credentials, slowConsumer, heartbeat, shutdown, idle, log, reload, debug, $schema, $provenance, configVersion, profiles',
  ],
  [
    json('{"listen.port": 1}'),
    '/b.json:1:2: listen.port: is not a known key; write it nested, as {"listen": {"port": …}}',
  ],
  [
    json('{"__proto__": {"faults": true}}'),
    '/b.json:1:2: __proto__: is a name that no key may have; leave it out',
  ],
  [
    json('{"constructor": {"prototype": {}}}'),
    '/b.json:1:2: constructor: is a name that no key may have; leave it out',
  ],
  [
    yaml('debug:\n  __proto__: {faults: true}'),
    '/b.yaml:2:3: debug.__proto__: is a name that no key may have; leave it out',
  ],
  [
    toml('listen.prototype = 1'),
    '/b.toml:1:8: listen.prototype: is a name that no key may have; leave it out',
  ],
  [
    json('{"streams": {"overrides": [{"subject": "a", "__proto__": {}}]}}'),
    '/b.json:1:45: streams.overrides[0].__proto__: is a name that no key may have; leave it out',
  ],
  [
    json(
      '{"streams": {"overrides": [{"subject": "a\\u0007"}, {"a\\u009b": [{"prototype": 1}, "\\n"]}]}}',
    ),
    '/b.json:1:40: streams.overrides[0].subject: has a control character in its value; leave it out',
    '/b.json:1:53: streams.overrides[1].a?: has a control character in its name; leave it out',
  ],
  [
    json('{"streams": {"overrides": [{"a": {"b": [{"prototype": 1}, "\\n"]}}]}}'),
    '/b.json:1:42: streams.overrides[0].a.b[0].prototype: is a name that no key may have; leave it out',
    '/b.json:1:59: streams.overrides[0].a.b[1]: has a control character in its value; leave it out',
  ],
  [
    json('{"toString": 1}'),
    '/b.json:1:2: toString: is not a known key; known here are listen, shards, memory, limits, streams, auth, credentials, slowConsumer, heartbeat, shutdown, idle, log, reload, debug, $schema, $provenance, configVersion, profiles',
  ],
  [
    yaml('listen: {HOST: "::1"}'),
    '/b.yaml:1:10: listen.HOST: is not a known key; did you mean listen.host?',
  ],
  [
    env('LISTEN_PROT', '1'),
    'environment: MEMORYSTREAMER_LISTEN_PROT: is not a known name; did you mean MEMORYSTREAMER_LISTEN_PORT?',
  ],
  [
    env('', '1'),
    'environment: MEMORYSTREAMER_: is not a known name; did you mean MEMORYSTREAMER_LISTEN_HOST?',
  ],
  [
    env('X\u001b[31m', '1'),
    'environment: MEMORYSTREAMER_X?[31m: is not a known name; did you mean MEMORYSTREAMER_SHARDS?',
  ],
  // Values
  [
    json('{"listen": {"port": 70000}}'),
    '/b.json:1:21: listen.port: 70000 is too large; allowed: a whole number from 0 to 65535',
  ],
  [
    json('{"listen": {"port": -1}}'),
    '/b.json:1:21: listen.port: -1 is too small; allowed: a whole number from 0 to 65535',
  ],
  [
    json('{"listen": {"port": "7878"}}'),
    '/b.json:1:21: listen.port: "7878" is not valid; allowed: a whole number from 0 to 65535',
  ],
  [
    json('{"listen": {"port": 1.5}}'),
    '/b.json:1:21: listen.port: 1.5 is not valid; allowed: a whole number from 0 to 65535',
  ],
  [
    json('{"listen": 7878}'),
    '/b.json:1:12: listen: 7878 is not an object; an object with keys is expected',
  ],
  [
    json('{"listen": null}'),
    '/b.json:1:12: listen: null is not an object; an object with keys is expected',
  ],
  [
    json('{"shards": {"a": 1}}'),
    '/b.json:1:12: shards: {"a":1} is not valid; allowed: "auto" or a whole number from 1 to 63',
  ],
  [
    yaml('shards: "2"'),
    '/b.yaml:1:9: shards: "2" is not valid; allowed: "auto" or a whole number from 1 to 63',
  ],
  [
    yaml('shards:'),
    '/b.yaml:1:1: shards: null is not valid; allowed: "auto" or a whole number from 1 to 63',
  ],
  [
    yaml('log:\n  level:'),
    '/b.yaml:2:3: log.level: null is not valid; allowed: one of "trace", "debug", "info", "warn", "error", "fatal", "silent"',
  ],
  [
    yaml('shards: 1.5'),
    '/b.yaml:1:9: shards: 1.5 is not valid; allowed: "auto" or a whole number from 1 to 63',
  ],
  [
    yaml('shards: 1e400'),
    '/b.yaml:1:9: shards: "1e400" is not valid; allowed: "auto" or a whole number from 1 to 63',
  ],
  [
    yaml('debug: {faults: yes}'),
    '/b.yaml:1:17: debug.faults: "yes" is not valid; allowed: true or false',
  ],
  [
    yaml('listen: {host: broker.example}'),
    '/b.yaml:1:16: listen.host: "broker.example" is not valid; allowed: a numeric IPv4 or IPv6 address, or "localhost"',
  ],
  [
    yaml('listen: {host: "fe80::1%eth0"}'),
    '/b.yaml:1:16: listen.host: "fe80::1%eth0" is not valid; allowed: a numeric IPv4 or IPv6 address, or "localhost"',
  ],
  [
    yaml('memory: {arena: 1GB}'),
    '/b.yaml:1:17: memory.arena: "1GB" is not valid; allowed: bytes as a number, or text with B, KiB, MiB or GiB such as "512MiB", from 16MiB to 4GiB',
  ],
  [
    yaml('memory: {arena: 1MiB}'),
    '/b.yaml:1:17: memory.arena: "1MiB" is too small; allowed: bytes as a number, or text with B, KiB, MiB or GiB such as "512MiB", from 16MiB to 4GiB',
  ],
  [
    toml('memory.arena = "5GiB"'),
    '/b.toml:1:16: memory.arena: "5GiB" is too large; allowed: bytes as a number, or text with B, KiB, MiB or GiB such as "512MiB", from 16MiB to 4GiB',
  ],
  [
    toml('[heartbeat]\ninterval = "50ms"'),
    '/b.toml:2:12: heartbeat.interval: "50ms" is too small; allowed: milliseconds as a number, or text with ms, s, m or h such as "250ms", from 100ms to 1h',
  ],
  [
    yaml('shutdown: {grace: 1d}'),
    '/b.yaml:1:19: shutdown.grace: "1d" is not valid; allowed: milliseconds as a number, or text with ms, s, m or h such as "250ms", from 0 to 10m',
  ],
  [
    yaml('log: {level: verbose}'),
    '/b.yaml:1:14: log.level: "verbose" is not valid; allowed: one of "trace", "debug", "info", "warn", "error", "fatal", "silent"',
  ],
  [
    yaml(`log: {level: "${'x'.repeat(100)}"}`),
    '/b.yaml:1:14: log.level: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… is not valid; allowed: one of "trace", "debug", "info", "warn", "error", "fatal", "silent"',
  ],
  [
    env('LISTEN_PORT', '0x10'),
    'MEMORYSTREAMER_LISTEN_PORT: "0x10" is not valid; allowed: a whole number from 0 to 65535',
  ],
  [
    env('SHARDS', ''),
    'MEMORYSTREAMER_SHARDS: "" is not valid; allowed: "auto" or a whole number from 1 to 63',
  ],
  [
    env('DEBUG_FAULTS', '1'),
    'MEMORYSTREAMER_DEBUG_FAULTS: "1" is not valid; allowed: true or false',
  ],
  [
    env('LOG_LEVEL', 'in\u0007fo'),
    'MEMORYSTREAMER_LOG_LEVEL: has a control character in its value; leave it out',
  ],
  [
    env('STREAMS_OVERRIDES', '[{'),
    'MEMORYSTREAMER_STREAMS_OVERRIDES: "[{" is not valid; allowed: a list of at most 1000 objects with subject, retention.bytes, onFull',
  ],
  [flags('--port=1e3'), '--port: "1e3" is not valid; allowed: a whole number from 0 to 65535'],
  [
    flags('--memory-arena='),
    '--memory-arena: "" is not valid; allowed: bytes as a number, or text with B, KiB, MiB or GiB such as "512MiB", from 16MiB to 4GiB',
  ],
  [
    flags('--limits-streams', 'many'),
    '--limits-streams: "many" is not valid; allowed: a whole number from 1 to 65535',
  ],
  [
    flags('--streams-overrides', '[{"subject": "a", "onFull": "drop"}]'),
    '--streams-overrides: streams.overrides[0].onFull: "drop" is not valid; allowed: one of "block", "evict"',
  ],
  // Items of lists
  [
    yaml('streams:\n  overrides:\n    subject: a'),
    '/b.yaml:3:5: streams.overrides: {"subject":"a"} is not valid; allowed: a list of at most 1000 objects with subject, retention.bytes, onFull',
  ],
  [
    yaml('streams:\n  overrides:\n    - a'),
    '/b.yaml:3:7: streams.overrides[0]: "a" is not valid; allowed: an object with subject, retention, onFull',
  ],
  [
    yaml('streams:\n  overrides:\n    - onFull: evict'),
    '/b.yaml:3:7: streams.overrides[0].subject: is missing; allowed: a subject of 1 to 255 bytes, where "*" stands for a token and ">" for the last ones',
  ],
  [
    yaml('streams:\n  overrides:\n    - subject: a b'),
    '/b.yaml:3:16: streams.overrides[0].subject: "a b" is not valid; allowed: a subject of 1 to 255 bytes, where "*" stands for a token and ">" for the last ones',
  ],
  [
    yaml(
      'streams:\n  overrides:\n    - subject: a\n    - subject: b\n      retention:\n        bytes: 1KiB',
    ),
    '/b.yaml:6:16: streams.overrides[1].retention.bytes: "1KiB" is too small; allowed: bytes as a number, or text with B, KiB, MiB or GiB such as "512MiB", from 64KiB to 4GiB',
  ],
  [
    yaml('streams:\n  overrides:\n    - subject: a\n      retention: 1MiB'),
    '/b.yaml:4:18: streams.overrides[0].retention: "1MiB" is not valid; allowed: an object with bytes',
  ],
  [
    yaml('streams:\n  overrides:\n    - subject: a\n      retention: {byte: 1MiB}'),
    '/b.yaml:4:19: streams.overrides[0].retention: "byte" is not a known field, did you mean bytes?; allowed: bytes',
  ],
  [
    toml('[[streams.overrides]]\nsubject = "a"\n[[streams.overrides]]\nsubjct = "b"'),
    '/b.toml:3:11: streams.overrides[1].subject: is missing; allowed: a subject of 1 to 255 bytes, where "*" stands for a token and ">" for the last ones',
    '/b.toml:4:1: streams.overrides[1]: "subjct" is not a known field, did you mean subject?; allowed: subject, retention, onFull',
  ],
  [
    json('{"streams": {"overrides": [{"subject": "a", "x": 1, "onful": 2}]}}'),
    '/b.json:1:45: streams.overrides[0]: "x" is not a known field; allowed: subject, retention, onFull',
    '/b.json:1:53: streams.overrides[0]: "onful" is not a known field, did you mean onFull?; allowed: subject, retention, onFull',
  ],
  [
    flags('--streams-overrides', '[{"subject": "a", "x": 1}]'),
    '--streams-overrides: streams.overrides[0]: "x" is not a known field; allowed: subject, retention, onFull',
  ],
  // Profiles and versions
  [
    yaml('profiles: 1'),
    '/b.yaml:1:11: profiles: is not an object; an object of named sets is expected',
  ],
  [
    yaml('profiles:\n  a: 1'),
    '/b.yaml:2:6: profiles.a: is not an object; an object with keys is expected',
  ],
  [
    yaml('log:\n  $schema: x\nprofiles:\n  a: {configVersion: 1}'),
    '/b.yaml:4:7: configVersion: is not a known key; allowed: at the top of the file',
    '/b.yaml:2:3: log.$schema: is not a known key; allowed: at the top of the file',
  ],
  [
    yaml('profiles:\n  a: {shard: 1}'),
    '/b.yaml:2:7: shard: is not a known key; did you mean shards?',
  ],
  [
    yaml('profiles:\n  a: {shards: 0}'),
    '/b.yaml:2:15: shards: 0 is too small; allowed: "auto" or a whole number from 1 to 63',
  ],
  [
    { ...yaml('profiles: {small: {}}'), argv: ['--profile', 'smal'] },
    '--profile: "smal" is not a profile of any file; did you mean small?',
  ],
  [
    { ...yaml('shards: 1'), argv: ['--profile', 'small'] },
    '--profile: "small" is not a profile of any file; no file has any',
  ],
  [
    yaml('configVersion: 2'),
    '/b.yaml:1:16: configVersion: 2 is not a known version; allowed: 1 to 1',
  ],
  [
    yaml('configVersion: 0'),
    '/b.yaml:1:16: configVersion: 0 is not a known version; allowed: 1 to 1',
  ],
  [
    yaml('configVersion: "1"'),
    '/b.yaml:1:16: configVersion: "1" is not a known version; allowed: 1 to 1',
  ],
  // Values together, and on the machine
  [
    yaml('listen:\n  host: 0.0.0.0'),
    '/b.yaml:2:9: listen.host: "0.0.0.0" lets other machines in, and the broker asks nobody who they are; allowed: 127.0.0.0/8 and ::1, or any with auth.required: true or listen.insecure: true',
  ],
  [
    env('LISTEN_HOST', '::'),
    'MEMORYSTREAMER_LISTEN_HOST: "::" lets other machines in, and the broker asks nobody who they are; allowed: 127.0.0.0/8 and ::1, or any with auth.required: true or listen.insecure: true',
  ],
  [
    yaml('memory: {arena: 32MiB}\nstreams:\n  default:\n    retention: {bytes: 64MiB}'),
    '/b.yaml:4:24: streams.default.retention.bytes: 64MiB is more than half of memory.arena (32MiB); allowed: at most 16MiB with this arena',
  ],
  [
    yaml('memory: {arena: 32MiB}\nstreams: {overrides: [{subject: a, retention: {bytes: 64MiB}}]}'),
    '/b.yaml:2:55: streams.overrides[0].retention.bytes: 64MiB is more than half of memory.arena (32MiB); allowed: at most 16MiB with this arena',
  ],
  [
    { ...flags('--memory-arena', '2GiB'), machine: small },
    '--memory-arena: 2GiB is more than 60% of the 1073741824 bytes that the machine or its control group allows; allowed: at most 629120KiB (644218880 bytes) here',
  ],
  [
    { ...yaml('limits:\n  connections: 1000'), machine: small },
    '/b.yaml:2:16: limits.connections: 1000 connections need 1080 file descriptors, the process may have 1000; lower the key or raise "ulimit -n"',
  ],
  [
    { ...flags(), machine: { ...small, memoryBytes: 1024 * 1024 } },
    'default: memory.arena: 16MiB is more than 60% of the 1048576 bytes that the machine or its control group allows; allowed: at most 576KiB (589824 bytes) here',
  ],
  // Files
  [
    flags('--config', '/none.yaml'),
    '/none.yaml: cannot be read: ENOENT; a readable file in UTF-8 is expected',
  ],
  [
    { argv: ['--config', '/d'], files: fakeFiles({ '/d/a.json': '{}' }) },
    '/d: cannot be read: EISDIR; a readable file in UTF-8 is expected',
  ],
  [
    flags('--config-dir', '/none.d'),
    '/none.d: cannot be read: ENOENT; a readable folder is expected',
  ],
  [
    {
      argv: ['--config-dir', '/d'],
      files: fakeFiles({ '/d/a.json': { link: '/e/a.json' }, '/e/a.json': '{}' }),
    },
    '/d/a.json: is a link that leads out of its folder',
  ],
  [
    { argv: ['--config-dir', '/d'], files: fakeFiles({ '/d/a.json': { link: '/d/none.json' } }) },
    '/d/a.json: cannot be read: ENOENT',
  ],
  [
    { argv: ['--config-dir', '/d'], files: fakeFiles({ '/d/a\u001b.json': '{]' }) },
    '/d/a?.json:1:2: a name in double quotes is expected',
  ],
];

test.each(CASES.map(([given, ...faults]) => ({ given, faults })))(
  '$faults',
  async ({ given, faults }) => {
    expect(await faultsOf(given)).toEqual(faults);
    expect(Object.keys(Object.prototype)).toEqual([]);
  },
);

test('there are at least sixty', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(60);
});
