"""A minimal client of the MemoryStreamer protocol, version 1, from docs/PROTOCOL.md and nothing else.

Python's standard library alone: it shares no code and no generated table with the broker. It publishes,
subscribes, and does both over a keyed connection (hmac-sha256, siphash-2-4).
"""
import base64
import hashlib
import hmac
import json
import os
import socket
import struct

MASK = (1 << 64) - 1
HEADER = struct.Struct('<2sBBHHIIQQ')  # bytes 0 … 31: all but the checks, or the tag
HEADER_BYTES = 40
PAYLOAD_BYTES_MAX = 65496
ACK_REQUESTED = 0x0001
KEYED = 0x8000

TYPES = {
    'HELLO': 0x01, 'WELCOME': 0x02, 'CHALLENGE': 0x03, 'PROOF': 0x04, 'PING': 0x05, 'PONG': 0x06,
    'ERROR': 0x07, 'GOODBYE': 0x08, 'OPEN': 0x10, 'OPENED': 0x11, 'SUBSCRIBE': 0x12,
    'SUBSCRIBED': 0x13, 'UNSUBSCRIBE': 0x14, 'UNSUBSCRIBED': 0x15, 'CREDIT': 0x16, 'GAP': 0x17,
    'DATA': 0x20, 'ACK': 0x21,
}
NAMES = {number: name for name, number in TYPES.items()}

P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
                      0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


class ProtocolError(Exception):
    """What came is not what the protocol allows; the text begins with the name of the error code."""


def rotl(value, by):
    return ((value << by) | (value >> (64 - by))) & MASK


def xxh64(data):
    """XXH64 with seed 0."""
    def turn(lane, word):
        return rotl((lane + word * P2) & MASK, 31) * P1 & MASK

    at, end = 0, len(data)
    if end >= 32:
        lanes = [(P1 + P2) & MASK, P2, 0, -P1 & MASK]
        while at + 32 <= end:
            for i, word in enumerate(struct.unpack_from('<4Q', data, at)):
                lanes[i] = turn(lanes[i], word)
            at += 32
        value = sum(rotl(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            value = ((value ^ turn(0, lane)) * P1 + P4) & MASK
    else:
        value = P5
    value = (value + end) & MASK
    while at + 8 <= end:
        value = (rotl(value ^ turn(0, struct.unpack_from('<Q', data, at)[0]), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= end:
        value = (rotl(value ^ struct.unpack_from('<I', data, at)[0] * P1 & MASK, 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        value = rotl(value ^ byte * P5 & MASK, 11) * P1 & MASK
    value = (value ^ value >> 33) * P2 & MASK
    value = (value ^ value >> 29) * P3 & MASK
    return value ^ value >> 32


def siphash24(key, data):
    """SipHash-2-4 under a key of 16 bytes."""
    k0, k1 = struct.unpack('<2Q', key)
    v0, v1, v2, v3 = (k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D,
                      k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573)

    def turns(count, v0, v1, v2, v3):
        for _ in range(count):
            v0 = (v0 + v1) & MASK
            v1 = rotl(v1, 13) ^ v0
            v0 = rotl(v0, 32)
            v2 = (v2 + v3) & MASK
            v3 = rotl(v3, 16) ^ v2
            v0 = (v0 + v3) & MASK
            v3 = rotl(v3, 21) ^ v0
            v2 = (v2 + v1) & MASK
            v1 = rotl(v1, 17) ^ v2
            v2 = rotl(v2, 32)
        return v0, v1, v2, v3

    whole = len(data) & ~7
    last = data[whole:].ljust(7, b'\0') + bytes([len(data) & 0xFF])
    for (word,) in struct.iter_unpack('<Q', data[:whole] + last):
        v0, v1, v2, v3 = turns(2, v0, v1, v2, v3 ^ word)
        v0 ^= word
    v0, v1, v2, v3 = turns(4, v0, v1, v2 ^ 0xFF, v3)
    return v0 ^ v1 ^ v2 ^ v3


class Direction:
    """The key of one direction, and how many keyed frames went through it."""

    def __init__(self, key):
        self.key = key
        self.counter = 0

    def tag(self, header, payload):
        tag = siphash24(self.key, struct.pack('<Q', self.counter) + header + payload)
        self.counter += 1
        return tag


def padded(byte_count):
    return (byte_count + 7) & ~7


def encode(kind, flags=0, code=0, stream=0, sequence=0, timestamp=0, payload=b'', direction=None):
    """A whole frame, padding included."""
    if direction is not None:
        flags |= KEYED
    head = HEADER.pack(b'MS', 1, kind, flags, code, stream, len(payload), sequence, timestamp)
    if direction is not None:
        checks = struct.pack('<Q', direction.tag(head, payload))
    else:
        check = struct.pack('<I', xxh64(payload) & 0xFFFFFFFF)
        checks = check + struct.pack('<I', xxh64(head + check) & 0xFFFFFFFF)
    return (head + checks + payload).ljust(padded(HEADER_BYTES + len(payload)), b'\0')


class Frame:
    def __init__(self, fields, payload):
        _, _, self.type, self.flags, self.code, self.stream, _, self.sequence, self.timestamp = fields
        self.payload = payload
        self.name = NAMES.get(self.type)

    def json(self):
        return json.loads(self.payload.decode())

    def u64(self):
        return struct.unpack('<Q', self.payload)[0]


def decode(data, direction=None):
    """The frame at the front of `data` and the bytes it takes; (None, 0): more are needed."""
    if data[:2] != b'MS'[:len(data)]:
        raise ProtocolError('BAD_MAGIC')
    if len(data) > 2 and data[2] != 1:
        raise ProtocolError('UNSUPPORTED_VERSION')
    if len(data) < HEADER_BYTES:
        return None, 0
    fields = HEADER.unpack_from(data)
    length = fields[6]
    if length > PAYLOAD_BYTES_MAX:
        raise ProtocolError('FRAME_TOO_LARGE')
    keyed = bool(fields[3] & KEYED)
    if keyed != (direction is not None):
        raise ProtocolError('BAD_TAG')
    payload_check, header_check = struct.unpack_from('<2I', data, 32)
    if not keyed and xxh64(data[:36]) & 0xFFFFFFFF != header_check:
        raise ProtocolError('HEADER_CORRUPT')
    if fields[2] not in NAMES:
        raise ProtocolError('UNKNOWN_TYPE')
    whole = padded(HEADER_BYTES + length)
    if len(data) < whole:
        return None, 0
    payload = bytes(data[HEADER_BYTES:HEADER_BYTES + length])
    if keyed:
        if direction.tag(bytes(data[:32]), payload) != struct.unpack_from('<Q', data, 32)[0]:
            raise ProtocolError('BAD_TAG')
    elif xxh64(payload) & 0xFFFFFFFF != payload_check:
        raise ProtocolError('PAYLOAD_CORRUPT')
    return Frame(fields, payload), whole


def sha256(data):
    return hashlib.sha256(data).digest()


def proof_of(side, secret, transcript):
    return hmac.new(secret, f'memorystreamer/1 {side}\0'.encode() + transcript, 'sha256').digest()


def hkdf(secret, salt, info):
    """HKDF-SHA256, of which the first 16 bytes are wanted."""
    extracted = hmac.new(salt, secret, 'sha256').digest()
    return hmac.new(extracted, info.encode() + b'\1', 'sha256').digest()[:16]


def direction_keys(secret, transcript):
    return [hkdf(secret, transcript, f'memorystreamer/1 {info}')
            for info in ('client-to-server', 'server-to-client')]


class Connection:
    """One connection; with `key_id` and `secret` it is mutually authenticated and keyed."""

    def __init__(self, host, port, key_id=None, secret=None, timeout=10):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.sending = self.receiving = None
        self.request = 0
        self.waiting = []
        if key_id is None:
            payload = json.dumps({'versions': [1], 'client': 'python/1'}).encode()
            self.welcome = self.ask('HELLO', payload, 'WELCOME').json()
        else:
            self.welcome = self._greet(key_id, secret)

    def _greet(self, key_id, secret):
        nonce = base64.b64encode(os.urandom(32)).decode()
        hello = json.dumps({'versions': [1], 'client': 'python/1', 'integrity': ['siphash-2-4'],
                            'auth': {'method': 'hmac-sha256', 'keyId': key_id, 'nonce': nonce}}).encode()
        challenge = self.ask('HELLO', hello, 'CHALLENGE').payload
        transcript = sha256(hello) + sha256(challenge)
        proof = base64.b64encode(proof_of('client', secret, transcript)).decode()
        welcome = self.ask('PROOF', json.dumps({'proof': proof}).encode(), 'WELCOME').json()
        theirs = base64.b64decode(welcome['proof'])
        if not hmac.compare_digest(theirs, proof_of('server', secret, transcript)):
            raise ProtocolError('the broker did not prove that it knows the secret')
        agreed = json.loads(challenge)
        if any(welcome[name] != agreed[name] for name in ('version', 'integrity')):
            raise ProtocolError('WELCOME says another thing than CHALLENGE')
        if welcome['integrity'] != 'siphash-2-4':
            raise ProtocolError('the connection is not keyed')
        self.sending, self.receiving = map(Direction, direction_keys(secret, transcript))
        return welcome

    def send(self, name, **fields):
        self.socket.sendall(encode(TYPES[name], direction=self.sending, **fields))

    def next(self):
        """The next frame; PINGs are answered on the way. Raises ProtocolError for an ERROR."""
        while True:
            frame, used = decode(self.received, self.receiving)
            if frame is None:
                more = self.socket.recv(65536)
                if not more:
                    raise ProtocolError('the broker closed the connection')
                self.received += more
                continue
            del self.received[:used]
            if frame.name == 'ERROR':
                raise ProtocolError(f'ERROR {frame.code}: {frame.payload.decode()}')
            if frame.name != 'PING':
                return frame
            self.send('PONG', sequence=frame.sequence, payload=frame.payload)

    def until(self, name):
        """The next frame of that type; others wait their turn."""
        for i, frame in enumerate(self.waiting):
            if frame.name == name:
                return self.waiting.pop(i)
        while True:
            frame = self.next()
            if frame.name == name:
                return frame
            self.waiting.append(frame)

    def ask(self, name, payload, answer):
        self.request += 1
        self.send(name, sequence=self.request, payload=payload)
        frame = self.until(answer)
        if frame.sequence != self.request:
            raise ProtocolError(f'{answer} answers another request')
        return frame

    def open(self, subject):
        return self.ask('OPEN', json.dumps({'subject': subject}).encode(), 'OPENED').stream

    def subscribe(self, subject, start='new'):
        payload = json.dumps({'subject': subject, 'from': start}).encode()
        return self.ask('SUBSCRIBE', payload, 'SUBSCRIBED').json()

    def publish(self, stream, payload, number):
        self.send('DATA', flags=ACK_REQUESTED, stream=stream, sequence=number, payload=payload)

    def acknowledged(self, stream, number):
        """Waits until the frame with that number is in the stream's log."""
        while True:
            ack = self.until('ACK')
            if ack.stream == stream and ack.sequence >= number:
                return ack.u64()

    def close(self):
        self.send('GOODBYE')
        self.until('GOODBYE')
        self.socket.close()
