/**
 * The kernel's numbers and structures as bytes: constants only, for 64-bit little-endian Linux.
 * glibc and musl agree on every byte of them; the two architectures differ in `LINUX_LAYOUTS` alone.
 *
 *   epoll_event   x64    events u32 | slot u32 | generation u32                  (packed)
 *                 arm64  events u32 | pad u32  | slot u32 | generation u32
 *   iovec         base u64 | bytes u64
 *   msghdr        name u64 | name bytes u32 | pad | iovecs u64 | iovec count u64 | control u64 | bytes u64 | flags
 *   sockaddr_in   family u16 | port u16 (big-endian) | address 4 bytes | 8 bytes of zero
 *   sockaddr_in6  family u16 | port u16 (big-endian) | flow u32 | address 16 bytes | scope u32
 *   timespec      seconds i64 | nanoseconds i64
 */
export interface LinuxLayout {
  /** Distance from one `epoll_event` to the next. */
  readonly epollEventBytes: number;
  /** Where its 8 bytes of user data begin: slot, then generation. */
  readonly epollDataByteOffset: number;
  /** Number of the system call `move_pages`. */
  readonly movePagesNumber: number;
}

export const LINUX_LAYOUTS: Readonly<Record<'x64' | 'arm64', LinuxLayout>> = {
  x64: { epollEventBytes: 12, epollDataByteOffset: 4, movePagesNumber: 279 },
  arm64: { epollEventBytes: 16, epollDataByteOffset: 8, movePagesNumber: 239 },
};

export const IOVEC_BYTES = 16;
export const MSGHDR_BYTES = 56;
export const MSGHDR_IOVECS_BYTE_OFFSET = 16;
export const MSGHDR_IOVEC_COUNT_BYTE_OFFSET = 24;
export const SOCKADDR_PORT_BYTE_OFFSET = 2;
export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN_ADDRESS_BYTE_OFFSET = 4;
export const SOCKADDR_IN6_BYTES = 28;
export const SOCKADDR_IN6_ADDRESS_BYTE_OFFSET = 8;
/** An IPv6 address, or an IPv4 one mapped into it. */
export const ADDRESS_BYTES = 16;

/** Limits of the seam: `sendSpans` in one call, events of one wait, the CPU mask, the longest wait. */
export const SPANS_MAX = 1024;
export const EVENTS_MAX = 256;
export const CPUS_MAX = 1024;
export const WAIT_MS_MAX = 100;
/** One span in the arena's table: byte offset u32, byte count u32. */
export const SPAN_BYTES = 8;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_NONBLOCK = 0x800;
export const SOCK_CLOEXEC = 0x80000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_RCVLOWAT = 18;
export const SO_INCOMING_CPU = 49;
export const SO_COOKIE = 57;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const MSG_PEEK = 0x2;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const SHUT_WR = 1;
export const EPOLL_CLOEXEC = 0x80000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLLET = 0x80000000;
export const EFD_NONBLOCK = 0x800;
export const EFD_CLOEXEC = 0x80000;
export const CLOCK_REALTIME = 0;
export const MADV_DONTNEED = 4;
export const MADV_HUGEPAGE = 14;
export const RLIMIT_NOFILE = 7;

/** Error numbers that only the seam itself needs; the others stand beside the interface. */
export const ENOENT = 2;
export const EBADF = 9;
export const EFAULT = 14;
export const EEXIST = 17;
export const ENOTSOCK = 88;
export const ENOTCONN = 107;
