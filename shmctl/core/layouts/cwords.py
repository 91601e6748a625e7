"""Words that mean something in C whatever a text includes: keywords, attributes, macros of 64-bit Linux."""

import os


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _macros(text: str) -> dict[str, str]:
    return dict(word.split("=") for word in text.split())


BASE_WORDS = _words("""
signed unsigned short long char int float double void _Bool bool _Complex __int128 __signed__
""")
QUALIFIERS = _words("""
const volatile restrict _Atomic __const __volatile__ __restrict __restrict__ __extension__
""")
STORAGE = _words("""
static extern register auto inline __inline __inline__ _Noreturn typedef _Thread_local __thread
""")
TAGGED = ("struct", "union", "enum")
ASSERT = ("_Static_assert", "static_assert")
ATTRIBUTE = ("__attribute__", "__attribute")
ALIGNAS = ("_Alignas", "alignas")
REFUSED = _words("__declspec asm __asm__ __asm typeof __typeof__ typeof_unqual _BitInt")
HARMLESS = _words("unused deprecated visibility used weak may_alias unavailable nonstring nonnull")
"""Attributes that change no layout."""
KEYWORDS = (
    BASE_WORDS
    | QUALIFIERS
    | STORAGE
    | REFUSED
    | {*TAGGED, *ASSERT, *ATTRIBUTE, *ALIGNAS, "sizeof", "_Alignof"}
)

KNOWN_HEADERS = frozenset(
    f"{name}.h"
    for name in _words("""
assert complex ctype dirent errno fcntl fenv float inttypes iso646 limits locale math mqueue netinet/in poll
pthread sched semaphore setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib
stdnoreturn string strings sys/ipc sys/mman sys/resource sys/select sys/sem sys/shm sys/socket sys/stat
sys/time sys/types sys/uio sys/un sys/wait threads time uchar unistd wchar wctype arpa/inet pwd grp
""")
)
"""Headers of C and POSIX: the macros that they define begin with two underscores, or are known."""

_MACHINES = {
    "x86_64": _words("__x86_64__ __x86_64 __amd64__ __amd64"),
    "aarch64": _words("__aarch64__"),
    "": _words("""
__i386__ __i386 i386 __arm__ __powerpc__ __powerpc64__ __PPC__ __s390__ __s390x__ __mips__ __riscv __sparc__
__ia64__ __alpha__ __hppa__ __m68k__ __sh__ __arm64__ __loongarch__ _M_IX86 _M_X64 _M_AMD64 _M_ARM64
"""),
}
_OWN = _MACHINES.get(os.uname().machine, frozenset())
_PLAIN = _words("""
__linux__ __linux linux __unix__ __unix unix __gnu_linux__ __STDC__ __STDC_HOSTED__ __ELF__ __LP64__ _LP64
""")

COMPILER = dict.fromkeys(_OWN | _PLAIN, "1") | _macros("""
__CHAR_BIT__=8 __SIZEOF_INT__=4 __SIZEOF_LONG__=8 __SIZEOF_POINTER__=8 __SIZEOF_LONG_LONG__=8
__SIZEOF_SHORT__=2 __SIZEOF_SIZE_T__=8 __SIZEOF_FLOAT__=4 __SIZEOF_DOUBLE__=8 __SIZEOF_WCHAR_T__=4
__ORDER_LITTLE_ENDIAN__=1234 __ORDER_BIG_ENDIAN__=4321 __BYTE_ORDER__=1234 __INT_MAX__=0x7fffffff
__LONG_MAX__=0x7fffffffffffffffL
""")
"""What every compiler for C on this machine defines."""

NEVER = frozenset[str]().union(*_MACHINES.values()) - _OWN | _words("""
__cplusplus _WIN32 _WIN64 WIN32 __WIN32__ _MSC_VER __MINGW32__ __CYGWIN__ __APPLE__ __MACH__ __FreeBSD__
__NetBSD__ __OpenBSD__ __DragonFly__ __sun __sun__ _AIX __hpux __QNX__ __ANDROID__ __KERNEL__ __ASSEMBLY__
__ASSEMBLER__ __OBJC__ SWIG __CHECKER__ __BIG_ENDIAN__ __ILP32__ __DOXYGEN__
""")
"""What none defines."""

LIBRARY = _macros("""
__WORDSIZE=64 CHAR_BIT=8 __LITTLE_ENDIAN=1234 __BIG_ENDIAN=4321 __BYTE_ORDER=1234 LITTLE_ENDIAN=1234
BIG_ENDIAN=4321 BYTE_ORDER=1234 PATH_MAX=4096 NAME_MAX=255 PIPE_BUF=4096 BUFSIZ=8192 HOST_NAME_MAX=64
IFNAMSIZ=16 IF_NAMESIZE=16 INET_ADDRSTRLEN=16 INET6_ADDRSTRLEN=46 UCHAR_MAX=255 SCHAR_MAX=127 SHRT_MAX=32767
USHRT_MAX=65535 INT_MAX=2147483647 UINT_MAX=4294967295U LONG_MAX=9223372036854775807L
ULONG_MAX=18446744073709551615UL INT8_MAX=127 UINT8_MAX=255 INT16_MAX=32767 UINT16_MAX=65535
INT32_MAX=2147483647 UINT32_MAX=4294967295U INT64_MAX=9223372036854775807L UINT64_MAX=18446744073709551615UL
SIZE_MAX=18446744073709551615UL
""")
"""Constants of the C library's headers, which declarations use without including them."""
