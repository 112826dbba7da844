import { expect, test } from 'vitest';
import { addressText } from '../../src/shards/address.js';

test.each([
  ['00000000000000000000ffff7f000001', 'loopback'],
  ['00000000000000000000ffff7fffffff', 'loopback'],
  ['00000000000000000000000000000001', 'loopback'],
  ['00000000000000000000000000000000', 'loopback'],
  ['00000000000000000000ffff0a010203', '10.1.2.3'],
  ['00000000000000000000ffff80000001', '128.0.0.1'],
  ['20010db8000000020000000000000001', '2001:db8:0:2::/64'],
  ['20010db800000002ffffffffffffffff', '2001:db8:0:2::/64'],
  ['20010db8000000030000000000000001', '2001:db8:0:3::/64'],
])('%s is %s', (hex, text) => {
  expect(addressText(Buffer.from(hex, 'hex'))).toBe(text);
});
