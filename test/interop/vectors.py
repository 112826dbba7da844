"""Runs the protocol's vectors through the Python client's own codec: python3 vectors.py FILE."""
import base64
import hashlib
import json
import sys

import memorystreamer as ms


def pattern(length):
    return bytes((31 * i + 7) & 0xFF for i in range(length))


def check(name, found, expected):
    if found != expected:
        raise SystemExit(f'{name}: {found!r} where {expected!r} is due')


def fault_of(data, direction=None):
    try:
        ms.decode(data, direction)
    except ms.ProtocolError as error:
        return str(error)
    return None


def main(path):
    with open(path, encoding='utf-8') as file:
        vectors = json.load(file)
    count = 0
    for each in vectors['xxh64']:
        check('xxh64', f"{ms.xxh64(pattern(each['length'])):016x}", each['hash'])
        count += 1
    for each in vectors['siphash24']:
        tag = ms.siphash24(bytes.fromhex(each['key']), bytes(range(each['length'])))
        check('siphash24', f'{tag:016x}', each['tag'])
        count += 1
    for each in vectors['valid']:
        data = bytes.fromhex(each['hex'])
        frame, used = ms.decode(data)
        found = [frame.name, frame.flags, frame.code, frame.stream, str(frame.sequence),
                 str(frame.timestamp), frame.payload.hex(), used]
        expected = [each['type'], each.get('flags', 0), each.get('code', 0), each['stream'],
                    each['sequence'], each['timestamp'], each['payload'], len(data)]
        check(each['name'], found, expected)
        if 'padding' not in each['name']:
            again = ms.encode(frame.type, frame.flags, frame.code, frame.stream, frame.sequence,
                              frame.timestamp, frame.payload)
            check(each['name'], again.hex(), each['hex'])
        count += 1
    largest = ms.encode(ms.TYPES['DATA'], stream=1, sequence=3, payload=pattern(65496))
    check('largest', hashlib.sha256(largest).hexdigest(), vectors['largest']['sha256'])
    # The others break rules that a server's state decides, or what only a client may not send.
    codec = {'BAD_MAGIC', 'UNSUPPORTED_VERSION', 'FRAME_TOO_LARGE', 'HEADER_CORRUPT',
             'PAYLOAD_CORRUPT', 'BAD_TAG'}
    for each in vectors['invalid']:
        if each['error'] in codec or each['name'] == 'type 0x7F':
            check(each['name'], fault_of(bytes.fromhex(each['hex'])), each['error'])
            count += 1
    given = vectors['hmac-sha256']
    secret = bytes.fromhex(given['secret'])
    transcript = b''.join(ms.sha256(given[name].encode()) for name in ('helloPayload', 'challengePayload'))
    for side in ('client', 'server'):
        proof = base64.b64encode(ms.proof_of(side, secret, transcript)).decode()
        check(side, proof, given[f'{side}Proof'])
        count += 1
    keys = [key.hex() for key in ms.direction_keys(secret, transcript)]
    check('keys', keys, [given['clientToServerKey'], given['serverToClientKey']])
    for each in vectors['keyed']:
        direction = ms.Direction(bytes.fromhex(each['key']))
        direction.counter = each['counter']
        fault = fault_of(bytes.fromhex(each['hex']), direction)
        check(each['name'], fault, None if each['ok'] else 'BAD_TAG')
        count += 1
    print(f'{count} vectors pass')


main(sys.argv[1])
