/** What an ERROR says to a person, where the code alone is the whole story. */
import * as codes from '../frame/codes.js';
import { PAYLOAD_BYTES_MAX } from '../frame/layout.js';

const TEXTS = new Map<number, string>([
  [codes.CODE_BAD_MAGIC, 'these are no MemoryStreamer frames: the first two bytes are not "MS"'],
  [codes.CODE_UNSUPPORTED_VERSION, 'this broker speaks version 1 of the protocol'],
  [codes.CODE_UNKNOWN_TYPE, 'a client sends no frame of this type'],
  [codes.CODE_FRAME_TOO_LARGE, `a payload has at most ${PAYLOAD_BYTES_MAX} bytes`],
  [codes.CODE_HEADER_CORRUPT, 'the header does not fit its check: the framing is lost'],
  [codes.CODE_PAYLOAD_CORRUPT, 'the payload does not fit its check: this frame was dropped'],
  [codes.CODE_BAD_TAG, 'this connection has no key, and the frame says that it is keyed'],
  [codes.CODE_UNEXPECTED, 'DATA belongs to a stream: stream 0 is the connection'],
  [
    codes.CODE_MALFORMED,
    'with ACK_REQUESTED the sequence is above 0 and above every earlier one on this stream',
  ],
  [codes.CODE_UNKNOWN_STREAM, 'this connection has not opened that stream'],
]);

export function faultText(code: number): string {
  return TEXTS.get(code) ?? 'the frame was refused';
}
