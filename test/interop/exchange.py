"""Publishes frames and reads them back: python3 exchange.py HOST PORT SUBJECT COUNT [KEY_ID SECRET_FILE]

Prints a line of JSON: what the broker said in WELCOME, the sequence of the last ACK, and the SHA-256 of all payloads
as published and as delivered. Then it prints the payloads of as many frames as another client publishes on
SUBJECT.other, and ends.
"""
import hashlib
import json
import sys

import memorystreamer as ms


def payload_of(number):
    """From nothing to the largest that a frame holds."""
    size = ms.PAYLOAD_BYTES_MAX if number == 3 else number * 37 % 1000
    return bytes((number + i) & 0xFF for i in range(size))


def main(host, port, subject, count, key_id=None, secret_file=None):
    secret = None
    if secret_file is not None:
        with open(secret_file, 'rb') as file:
            secret = file.read().removesuffix(b'\n')
    count = int(count)
    connection = ms.Connection(host, int(port), key_id, secret)
    connection.subscribe(f'{subject}.>')
    stream = connection.open(f'{subject}.own')
    published, delivered = hashlib.sha256(), hashlib.sha256()
    for number in range(1, count + 1):
        payload = payload_of(number)
        published.update(payload)
        connection.publish(stream, payload, number)
    last = connection.acknowledged(stream, count)
    for number in range(1, count + 1):
        frame = connection.until('DATA')
        if frame.stream != stream or frame.sequence != number:
            raise SystemExit(f'frame {frame.sequence} of stream {frame.stream} where {number} is due')
        delivered.update(frame.payload)
    print(json.dumps({'welcome': connection.welcome, 'last': last,
                      'published': published.hexdigest(), 'delivered': delivered.hexdigest()}), flush=True)
    for _ in range(count):
        print(connection.until('DATA').payload.decode(), flush=True)
    connection.close()


main(*sys.argv[1:])
