"""A gibibyte from one process to another, each touching it once: through shared memory and through a pipe.

One C program stores a number into every eight bytes, another sums them up. Through a pipe they pass 256 KiB
at a time; in an object that shmctl has made, the reader follows the writer's count of blocks, which are as
large. What an object costs depends on whether its pages are there already. There is no bar: the ratios are
shown, whatever they are. Ends with status 1 if a sum is wrong. Needs gcc, and a core for each of the two.
Usage: bench/pipe.py [ROUNDS [MIB]]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pairs import compare, report, run, shmctl, take_turns

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 9
MIB = int(sys.argv[2]) if len(sys.argv) > 2 else 1024
NAME = f"/shmctl-bench-{os.getpid()}-pipe"
OBJECT = Path("/dev/shm" + NAME)

# Passes argv[1] blocks from a child to itself, through the object argv[2] or, without one, a pipe.
PROGRAM = r"""
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCK = 256 * 1024, WORDS = BLOCK / 8 };

static void store(uint64_t *block, uint64_t number)
{
    for (int i = 0; i < WORDS; i++) block[i] = number + i;
}

static uint64_t sum(const uint64_t *block)
{
    uint64_t total = 0;
    for (int i = 0; i < WORDS; i++) total += block[i];
    return total;
}

static int whole(ssize_t (*move)(int, char *, size_t), int fd, char *block)
{
    size_t done = 0;
    while (done < BLOCK) {
        ssize_t count = move(fd, block + done, BLOCK - done);
        if (count <= 0) return 0;
        done += count;
    }
    return 1;
}

static ssize_t put(int fd, char *block, size_t size) { return write(fd, block, size); }
static ssize_t get(int fd, char *block, size_t size) { return read(fd, block, size); }

static int through_pipe(uint64_t blocks)
{
    static uint64_t block[WORDS];
    uint64_t total = 0;
    int ends[2];
    if (pipe(ends)) return 3;
    if (fork() == 0) {
        for (uint64_t n = 0; n < blocks; n++) {
            store(block, n);
            if (!whole(put, ends[1], (char *)block)) _exit(3);
        }
        _exit(0);
    }
    for (uint64_t n = 0; n < blocks; n++) {
        if (!whole(get, ends[0], (char *)block)) return 3;
        total += sum(block);
    }
    printf("%llu\n", (unsigned long long)total);
    return 0;
}

static int through_memory(uint64_t blocks, const char *path)
{
    uint64_t total = 0;
    int fd = shm_open(path, O_RDWR, 0);
    char *memory = mmap(NULL, blocks * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    atomic_ulong *ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || ready == MAP_FAILED) return 3;
    if (fork() == 0) {
        for (uint64_t n = 0; n < blocks; n++) {
            store((uint64_t *)(memory + n * BLOCK), n);
            atomic_store_explicit(ready, n + 1, memory_order_release);
        }
        _exit(0);
    }
    for (uint64_t n = 0; n < blocks; n++) {
        while (atomic_load_explicit(ready, memory_order_acquire) <= n) ;
        total += sum((uint64_t *)(memory + n * BLOCK));
    }
    printf("%llu\n", (unsigned long long)total);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t blocks = strtoull(argv[1], NULL, 10);
    return argc > 2 ? through_memory(blocks, argv[2]) : through_pipe(blocks);
}
"""


def compile_program(folder: str) -> str:
    source, program = Path(folder, "pass.c"), f"{folder}/pass"
    source.write_text(PROGRAM)
    subprocess.run(["gcc", "-O2", "-Wall", "-o", program, str(source), "-lrt"], check=True)
    return program


def main() -> int:
    blocks = MIB * 4
    words = blocks * 32 * 1024
    total = (32 * 1024 * (blocks * (blocks - 1) // 2) + blocks * (32 * 1024 * (32 * 1024 - 1) // 2)) % 2**64
    with tempfile.TemporaryDirectory() as folder:
        program, out = compile_program(folder), f"{folder}/out"

        def passing(*args: str) -> float:
            seconds = run([program, str(blocks), *args], stdout=out).seconds
            if int(Path(out).read_text()) != total:
                sys.exit(f"of {words} numbers the sum is wrong")
            return seconds

        def fresh() -> float:
            OBJECT.unlink(missing_ok=True)
            run(shmctl("create", NAME, "--size", f"{MIB}M"))
            return passing(NAME)

        def reserved() -> float:
            OBJECT.unlink(missing_ok=True)
            run(shmctl("create", NAME, "--size", f"{MIB}M", "--reserve"))
            return passing(NAME)

        ways = {"fresh object": fresh, "used object": lambda: passing(NAME), "reserved object": reserved}
        turns = take_turns({**ways, "pipe": passing}, ROUNDS)
    for way in ways:
        report(
            f"{way} against pipe",
            compare(turns[way], turns["pipe"]),
            None,
            (way, turns[way]),
            ("pipe", turns["pipe"]),
        )
    return 0


if __name__ == "__main__":
    try:
        status = main()
    finally:
        OBJECT.unlink(missing_ok=True)
    sys.exit(status)
