"""POSIX and C types that a structure may use without the system's headers, as glibc defines them on 64 bits.

No declaration depends on another: each is given to the parser when a name in
it is first used, unless the user's text has its own.
"""

# A tag that begins so marks a type whose bytes have no meaning for a user.
OPAQUE = "__shm_opaque_"
OPAQUE_MEMBERS = ("__shm_bytes", "__shm_align")

# Known to cffi under the same names.
BUILTIN = (
    "bool", "size_t", "ssize_t", "ptrdiff_t", "intptr_t", "uintptr_t", "intmax_t", "uintmax_t",
    *(
        f"{sign}int{family}{bits}_t"
        for sign in ("", "u")
        for family in ("", "_fast", "_least")
        for bits in (8, 16, 32, 64)
    ),
)  # fmt: skip

_SAME_AS = {
    "pid_t": "int", "uid_t": "unsigned int", "gid_t": "unsigned int", "id_t": "unsigned int",
    "mode_t": "unsigned int", "off_t": "long", "off64_t": "long", "loff_t": "long", "time_t": "long",
    "dev_t": "unsigned long", "ino_t": "unsigned long", "blkcnt_t": "long", "clock_t": "long",
    "clockid_t": "int", "timer_t": "void *", "suseconds_t": "long", "useconds_t": "unsigned int",
    "key_t": "int", "socklen_t": "unsigned int", "in_port_t": "unsigned short", "in_addr_t": "unsigned int",
    "sa_family_t": "unsigned short", "sig_atomic_t": "int",
    "char16_t": "unsigned short", "char32_t": "unsigned int", "wint_t": "unsigned int",
    "u_char": "unsigned char", "u_short": "unsigned short", "u_int": "unsigned int",
    "u_long": "unsigned long", "u_int8_t": "unsigned char", "u_int16_t": "unsigned short",
    "u_int32_t": "unsigned int", "u_int64_t": "unsigned long", "uchar": "unsigned char",
    "ushort": "unsigned short", "uint": "unsigned int", "ulong": "unsigned long",
    "__u8": "unsigned char", "__u16": "unsigned short", "__u32": "unsigned int",
    "__u64": "unsigned long long", "__s8": "signed char", "__s16": "short", "__s32": "int",
    "__s64": "long long",
    "atomic_bool": "_Bool", "atomic_char": "char", "atomic_schar": "signed char",
    "atomic_uchar": "unsigned char", "atomic_short": "short", "atomic_ushort": "unsigned short",
    "atomic_int": "int", "atomic_uint": "unsigned int", "atomic_long": "long",
    "atomic_ulong": "unsigned long", "atomic_llong": "long long", "atomic_ullong": "unsigned long long",
    "atomic_size_t": "unsigned long", "atomic_ptrdiff_t": "long", "atomic_intptr_t": "long",
    "atomic_uintptr_t": "unsigned long", "atomic_intmax_t": "long", "atomic_uintmax_t": "unsigned long",
    "atomic_char16_t": "unsigned short", "atomic_char32_t": "unsigned int",
    "pthread_t": "unsigned long", "pthread_key_t": "unsigned int", "pthread_once_t": "int",
    "pthread_spinlock_t": "int",
}  # fmt: skip

# The size in bytes on x86-64 and on aarch64, and the member that gives the alignment.
_SIZES = {
    "sem_t": (32, 32, "long"), "pthread_mutex_t": (40, 48, "long"), "pthread_cond_t": (48, 48, "long"),
    "pthread_rwlock_t": (56, 56, "long"), "pthread_barrier_t": (32, 32, "long"),
    "pthread_attr_t": (56, 64, "long"), "pthread_mutexattr_t": (4, 8, "int"),
    "pthread_condattr_t": (4, 8, "int"), "pthread_rwlockattr_t": (8, 8, "long"),
    "pthread_barrierattr_t": (4, 8, "int"), "sigset_t": (128, 128, "long"),
}  # fmt: skip

_STRUCTS = {
    "timespec": "long tv_sec; long tv_nsec;",
    "timeval": "long tv_sec; long tv_usec;",
    "timezone": "int tz_minuteswest; int tz_dsttime;",
    "in_addr": "unsigned int s_addr;",
    "iovec": "void *iov_base; unsigned long iov_len;",
    "flock": "short l_type; short l_whence; long l_start; long l_len; int l_pid;",
}

# Every name that the parser must take for a type.
TYPE_NAMES = (*BUILTIN, *_SAME_AS, *_SIZES, "atomic_flag", "wchar_t", "FILE", "DIR")
STRUCT_TAGS = tuple(_STRUCTS)


def typedef(name: str, machine: str) -> str | None:
    """The declaration of the type ``name``; None where its size on ``machine`` (uname -m) is not known."""
    if name in _SAME_AS:
        return f"typedef {_SAME_AS[name]} {name};"
    if name == "wchar_t" and machine in ("x86_64", "aarch64"):
        return f"typedef {'int' if machine == 'x86_64' else 'unsigned int'} wchar_t;"
    if name == "atomic_flag":
        return "typedef _Bool atomic_flag;"
    if name in _SIZES and machine in ("x86_64", "aarch64"):
        x86_64, aarch64, aligned_as = _SIZES[name]
        size = x86_64 if machine == "x86_64" else aarch64
        data, align = OPAQUE_MEMBERS
        return f"typedef union {OPAQUE}{name} {{ char {data}[{size}]; {aligned_as} {align}; }} {name};"
    return f"typedef struct {OPAQUE}{name} {name};" if name in ("FILE", "DIR") else None


def structure(tag: str) -> str:
    """The definition of ``struct tag``, which is in STRUCT_TAGS."""
    return f"struct {tag} {{ {_STRUCTS[tag]} }};"
