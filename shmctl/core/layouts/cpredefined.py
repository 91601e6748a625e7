"""Macros that C code finds defined, or not, whatever it includes: GCC's and clang's on 64-bit Linux."""

import os

_MACHINES = {
    "x86_64": ("__x86_64__", "__x86_64", "__amd64__", "__amd64"),
    "aarch64": ("__aarch64__",),
    "": (
        "__i386__", "__i386", "i386", "__arm__", "__powerpc__", "__powerpc64__", "__PPC__", "__s390__",
        "__s390x__",
        "__mips__", "__riscv", "__sparc__", "__ia64__", "__alpha__", "__hppa__", "__m68k__", "__sh__",
        "__arm64__",
        "__loongarch__", "_M_IX86", "_M_X64", "_M_AMD64", "_M_ARM64",
    ),
}  # fmt: skip

COMPILER = {
    **dict.fromkeys(_MACHINES.get(os.uname().machine, ()), "1"),
    "__linux__": "1", "__linux": "1", "linux": "1", "__unix__": "1", "__unix": "1", "unix": "1",
    "__gnu_linux__": "1", "__STDC__": "1", "__STDC_HOSTED__": "1", "__ELF__": "1", "__LP64__": "1",
    "_LP64": "1",
    "__CHAR_BIT__": "8", "__SIZEOF_INT__": "4", "__SIZEOF_LONG__": "8", "__SIZEOF_POINTER__": "8",
    "__SIZEOF_LONG_LONG__": "8", "__SIZEOF_SHORT__": "2", "__SIZEOF_SIZE_T__": "8", "__SIZEOF_FLOAT__": "4",
    "__SIZEOF_DOUBLE__": "8", "__SIZEOF_LONG_DOUBLE__": "16", "__SIZEOF_WCHAR_T__": "4",
    "__ORDER_LITTLE_ENDIAN__": "1234", "__ORDER_BIG_ENDIAN__": "4321", "__BYTE_ORDER__": "1234",
    "__INT_MAX__": "0x7fffffff", "__LONG_MAX__": "0x7fffffffffffffffL", "__SCHAR_MAX__": "0x7f",
    "__SHRT_MAX__": "0x7fff", "__LONG_LONG_MAX__": "0x7fffffffffffffffLL",
}  # fmt: skip

# What a version decides is asked with each of these, and must come out the same.
VERSIONS = (
    {"__GNUC__": "4", "__GNUC_MINOR__": "2", "__STDC_VERSION__": "199901L"},
    {"__GNUC__": "16", "__GNUC_MINOR__": "1", "__STDC_VERSION__": "202311L"},
)

# No compiler for C on Linux defines these.
NEVER = frozenset(
    (
        *(name for machine, names in _MACHINES.items() if machine != os.uname().machine for name in names),
        "__cplusplus", "_WIN32", "_WIN64", "WIN32", "__WIN32__", "_MSC_VER", "__MINGW32__", "__CYGWIN__",
        "__APPLE__", "__MACH__", "__FreeBSD__", "__NetBSD__", "__OpenBSD__", "__DragonFly__", "__sun",
        "__sun__",
        "_AIX", "__hpux", "__QNX__", "__QNXNTO__", "__VXWORKS__", "__ANDROID__", "__KERNEL__", "__ASSEMBLY__",
        "__ASSEMBLER__", "__OBJC__", "SWIG", "__BORLANDC__", "__WATCOMC__", "__SUNPRO_C", "__CHECKER__",
        "__BIG_ENDIAN__", "__ILP32__", "__MSDOS__", "_WIN16", "__DOXYGEN__", "__cplusplus_cli",
    )
)  # fmt: skip

# Constants of the C library's headers that declarations use without including them.
LIBRARY = {
    "__WORDSIZE": "64", "CHAR_BIT": "8", "__LITTLE_ENDIAN": "1234", "__BIG_ENDIAN": "4321",
    "__BYTE_ORDER": "1234", "LITTLE_ENDIAN": "1234", "BIG_ENDIAN": "4321", "BYTE_ORDER": "1234",
    "PATH_MAX": "4096", "NAME_MAX": "255", "PIPE_BUF": "4096", "BUFSIZ": "8192", "HOST_NAME_MAX": "64",
    "IFNAMSIZ": "16", "IF_NAMESIZE": "16", "INET_ADDRSTRLEN": "16", "INET6_ADDRSTRLEN": "46",
    "UCHAR_MAX": "255", "SCHAR_MAX": "127", "SHRT_MAX": "32767", "USHRT_MAX": "65535",
    "INT_MAX": "2147483647",
    "UINT_MAX": "4294967295U", "LONG_MAX": "9223372036854775807L", "ULONG_MAX": "18446744073709551615UL",
    "INT8_MAX": "127", "UINT8_MAX": "255", "INT16_MAX": "32767", "UINT16_MAX": "65535",
    "INT32_MAX": "2147483647", "UINT32_MAX": "4294967295U", "INT64_MAX": "9223372036854775807L",
    "UINT64_MAX": "18446744073709551615UL", "SIZE_MAX": "18446744073709551615UL",
}  # fmt: skip
