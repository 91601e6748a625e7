"""C's and POSIX types that need no header here, as glibc defines them on 64 bits."""

import os

from shmctl.core.layouts.model import LOCKS, RecordType, Type
from shmctl.core.layouts.scalars import BOOL, CHAR, DOUBLE, FLOAT, address, integer
from shmctl.core.layouts.scalartype import ScalarType

MACHINES = ("x86_64", "aarch64")
"""The machines whose layouts are known, by uname -m."""

_C = {
    "short": (2, True), "unsigned short": (2, False), "int": (4, True), "unsigned int": (4, False),
    "long": (8, True), "unsigned long": (8, False), "long long": (8, True), "unsigned long long": (8, False),
    "signed char": (1, True), "unsigned char": (1, False), "__int128": (16, True),
    "unsigned __int128": (16, False),
}  # fmt: skip

_SAME_AS = {
    "pid_t": "int", "uid_t": "unsigned int", "gid_t": "unsigned int", "id_t": "unsigned int",
    "mode_t": "unsigned int", "off_t": "long", "off64_t": "long", "loff_t": "long", "time_t": "long",
    "dev_t": "unsigned long", "ino_t": "unsigned long", "blkcnt_t": "long", "clock_t": "long",
    "clockid_t": "int", "suseconds_t": "long", "useconds_t": "unsigned int",
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
    "size_t": "unsigned long", "ssize_t": "long", "ptrdiff_t": "long", "intptr_t": "long",
    "uintptr_t": "unsigned long", "intmax_t": "long", "uintmax_t": "unsigned long",
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


def _with_sizes() -> dict[str, str]:
    names = dict(_SAME_AS)
    for bits, plain in ((8, "char"), (16, "short"), (32, "int"), (64, "long")):
        for sign in ("", "u"):
            word = "unsigned" if sign else "signed" if bits == 8 else ""
            names[f"{sign}int{bits}_t"] = names[f"{sign}int_least{bits}_t"] = f"{word} {plain}".strip()
            fast = plain if bits == 8 else "long"
            names[f"{sign}int_fast{bits}_t"] = f"{word} {fast}".strip()
    return names


_NAMES = _with_sizes()


def arithmetic(name: str) -> ScalarType | None:
    """C's own type called ``name``, in one order of its words: ``unsigned long``."""
    if name in _C:
        return integer(name, *_C[name])
    if name == "long double":
        kind = "x87" if os.uname().machine == "x86_64" else "quad"
        return ScalarType(name, 16, kind, "longdouble", 16)
    if name.endswith(" _Complex"):
        part = arithmetic(name.removesuffix(" _Complex"))
        return part and ScalarType(name, part.size * 2, "", "opaque", part.align)
    return {"char": CHAR, "bool": BOOL, "float": FLOAT, "double": DOUBLE}.get(name)


def lookup(name: str) -> Type | None:  # noqa: PLR0911 - a return for each kind of type
    """The type that the system's headers call ``name``; None for a name that is not known."""
    machine = os.uname().machine
    if name in _NAMES:
        base = arithmetic(_NAMES[name].replace("_Bool", "bool"))
        return base and base._replace(name=name)
    if name in _SIZES:
        x86_64, aarch64, aligned_as = _SIZES[name]
        size, align = (x86_64 if machine == "x86_64" else aarch64), (8 if aligned_as == "long" else 4)
        if name in LOCKS:
            return RecordType(name, "union", size, align, (), name)
        return ScalarType(name, size, "", "opaque", align)
    match name:
        case "wchar_t":
            return integer(name, 4, machine == "x86_64")
        case "pthread_spinlock_t":
            return integer(name, 4, True)._replace(lock=name)
        case "timer_t":
            return address(name)
        case "bool" | "atomic_flag":
            return BOOL._replace(name=name)
    return None


def structure(tag: str) -> str | None:
    """The definition of ``struct tag`` as the system's headers have it."""
    return f"struct {tag} {{ {_STRUCTS[tag]} }};" if tag in _STRUCTS else None


GLIBCS = frozenset({*_SIZES, "dev_t", "timer_t", "blkcnt_t"})
"""The names that mean something else in the kernel's headers, and perhaps in others."""

NAMES = frozenset({*_NAMES, *_SIZES, "wchar_t", "pthread_spinlock_t", "timer_t", "bool", "atomic_flag"})
"""The names that `lookup` knows."""
