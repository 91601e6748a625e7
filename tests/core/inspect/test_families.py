"""Families of names: the built-in file, files of one's own, and what is wrong with a bad one."""

import os
import re
import stat
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import pytest

from shmctl.core.errors import FileError, InputError
from shmctl.core.inspect import families, family_files
from shmctl.core.inspect.families import Families, Lifetime, compiled, literal_prefix
from shmctl.core.inspect.family_files import BUILT_IN, load_families, parse_families
from shmctl.core.names import Name
from tests.support import as_nobody, python_for_all, run, run_command

UUID = "0f1e2d3c-4b5a-11ef-8f9e-0242ac120002"
# Software, a name that it makes, the PID and the set in that name.
EXAMPLES: list[tuple[str, str, int | None, str | None]] = [
    (".NET", "corefx_map_0123456789abcdef0123456789abcdef", None, None),
    (".NET", "dotnet_0123456789abcdef012345", None, None),
    ("389 Directory Server", "sem.slapd-example.stats", None, None),
    ("Aeron", "aeron-alice", None, None),
    ("Apache Portable Runtime", "ShM.1f2e3d4cH89abcdef", None, None),
    ("Apache Portable Runtime", "sem.ApR.1f2e3d4cH89abcdef", None, None),
    ("Apache Portable Runtime", "sem.ApR.65a1b2c3Z1e240", None, None),
    ("Chromium", ".org.chromium.Chromium.UMisHi", None, None),
    ("Chromium", ".com.google.Chrome.q1W2e3", None, None),
    ("Chromium", "org.chromium.Chromium.scoped_dir.UMisHi", None, None),
    ("Chromium", "com.google.Chrome.q1W2e3", None, None),
    ("CPython multiprocessing", "psm_95b62aa5", None, None),
    ("CPython multiprocessing", "sem.mp-a_0z9xyw", None, None),
    ("CPython multiprocessing", "pym-4711-a_0z9xyw", 4711, None),
    ("DeepSpeed", "deepspeed_allreduce_buffer_1000_127.0.0.1_29500_0", None, None),
    ("Envoy", "envoy_shared_memory_0", None, None),
    ("Fast DDS", "fastrtps_port7400", None, "fastrtps_port7400"),
    ("Fast DDS", "fastrtps_port7400_el", None, "fastrtps_port7400"),
    ("Fast DDS", "fastrtps_port7400_sl", None, "fastrtps_port7400"),
    ("Fast DDS", "sem.fastrtps_port7400_mutex", None, "fastrtps_port7400"),
    ("Fast DDS", "fastdds_23d604b34d071ce1_el", None, "fastdds_23d604b34d071ce1"),
    (
        "Fast DDS",
        "fast_datasharing_01.0f.40.ec.26.00.af.24.00.00.00.00_0.0.14.3",
        None,
        "01.0f.40.ec.26.00.af.24.00.00.00.00_0.0.14.3",
    ),
    ("Firefox", "org.mozilla.ipc.4711.12", 4711, None),
    ("Firefox", "snap.firefox.org.mozilla.ipc.4711.12", 4711, None),
    ("Firefox", "wayland.mozilla.ipc.3", None, None),
    ("Firefox", "snap.firefox_2.wayland.mozilla.ipc.3", None, None),
    ("GASNet-EX", "GASNTaB3xYz000001", None, "aB3xYz"),
    ("GStreamer", "shmpipe. 4711.    0", 4711, None),
    ("GStreamer", "shmpipe.471100.    0", 471100, None),
    ("Gunicorn", "wgunicorn-9x4j26r8", None, None),
    ("HAProxy", "haproxy_startup_logs_4711", 4711, None),
    ("i3", "i3-log-4711", 4711, None),
    ("iceoryx", "iceoryx_mgmt", None, None),
    ("iceoryx", "iox1_0_i_iceoryx_mgmt", None, None),
    ("iceoryx2", "iox2_d2b5f1c30a.dynamic", None, None),
    ("Intel MPI", "Intel_MPI_8xmWzE", None, None),
    ("ipc-channel (Servo)", "ipc-channel-shared-memory.3.4711.1700000000.123456", 4711, None),
    ("iRODS", "irods_hostname_cache_4711_1700000000", None, None),
    ("iRODS", "sem.irods_hostname_cache_4711", None, None),
    ("JACK", "jack-1000-0", None, None),
    ("JACK", "sem.jack_sem.1000_default_system", None, None),
    ("JACK", "jack_sem.1000_default_system", None, None),
    ("JACK", "jack_sem.default_system", None, None),
    ("JACK", "sem.jack_sem.default_system", None, None),
    ("JACK", "jack-shm-registry", None, None),
    ("JACK", "jack_db-1000", None, None),
    ("joblib, loky", "sem.loky-4711-a_0z9xyw", 4711, None),
    ("joblib, loky", "joblib_memmapping_folder_4711_d154fc43_ca7e0135", 4711, None),
    ("Julia SharedArrays", "jl004711AbCdEfGhIjKlMnOpQrSt", None, None),
    ("libqb", "qb-4711-815-32-AbC123", 4711, None),
    ("libqb", "qb-cib_rw-control-815-9", None, None),
    ("libqb", "qb-corosync-4711-blackbox-data", 4711, "corosync-4711-blackbox"),
    ("libqb", "qb-corosync-4711-blackbox-header", 4711, "corosync-4711-blackbox"),
    ("libfaketime", "faketime_shm_4711", 4711, "4711"),
    ("libfaketime", "sem.faketime_sem_4711", 4711, "4711"),
    ("libv4l", "libv4l-alice:usb-0000:00:14.0-4:046d:0825:Camera One", None, None),
    ("libxshmfence", "shmfd-aB3xYz", None, None),
    ("LLVM OpenMP", "__KMP_REGISTERED_LIB_4711", 4711, None),
    ("LLVM OpenMP", "__KMP_REGISTERED_LIB_4711_1000", 4711, None),
    ("Looking Glass", "looking-glass", None, None),
    ("LTTng", "lttng-ust-wait-8", None, None),
    ("LTTng", "lttng-ust-wait-8-1000", None, None),
    ("LTTng", "ust-shm-tmp-aB3xYz", None, None),
    ("LTTng", "ust-shm-consumer-4711", 4711, None),
    ("Mono", "mono.4711", 4711, None),
    ("MPICH", "mpich_shar_tmpMCilHL", None, None),
    ("MVAPICH2", "ib_shmem-12-node-1-1000.tmp", None, "12-node-1-1000"),
    ("MVAPICH2", "ib_shmem_coll-12-node-1-1000.tmp", None, "12-node-1-1000"),
    ("MXNet", "mx_1267_5f3a", None, None),
    ("NCCL", "nccl-vzIpS6", None, None),
    ("NVIDIA CUDA", "cuda.shm.0.2f9b.1", None, None),
    ("NVIDIA DALI", "nvidia_dali_aB3xYz", None, None),
    ("NVSHMEM", "nvshmem-shm-4711", None, None),
    ("Open MPI", "sm_segment.node1.example.1000.5d2f0001.3", None, "node1.example.1000.5d2f0001"),
    ("Open MPI", "vader_segment.node1.5d2f0001.3", None, "node1.5d2f0001"),
    ("Open MPI", "vader_segment.node1.1000.5d2f0001.3", None, "node1.1000.5d2f0001"),
    ("Open MPI", "osc_rdma.node1.5d2f0001.3", None, "node1.5d2f0001"),
    ("Open MPI", "osc_sm.node1.5d2f0001.0.3", None, "node1.5d2f0001"),
    ("Open MPI", "open_mpi.0003", None, None),
    ("Oracle Database", "ora_ORCL_3011536284_1_0", None, "ORCL"),
    ("Oracle Database", "ora_+ASM_3011536284_12", None, "+ASM"),
    ("Oracle Database", "JOXSHM_EXT_12_ORCL_65536", None, None),
    ("PaddlePaddle", "paddle_4711_1804289383", 4711, None),
    ("PHP OPcache", "ZendAccelerator.4711", 4711, None),
    ("Podman", "libpod_lock", None, None),
    ("Podman", "libpod_rootless_lock_1000", None, None),
    ("PostgreSQL", "PostgreSQL.1804289383", None, "PostgreSQL"),
    ("PSM2, PSM3", "psm2_shm.100000000000010203040", None, None),
    ("PSM2, PSM3", "psm3_shm.1000.fe80::1:2:3.0", None, None),
    ("PulseAudio", "pulse-shm-3812345678", None, None),
    ("PyTorch", "torch_4711_1804289383_0", 4711, None),
    ("PyTorch", "torch_4711_1804289383", 4711, None),
    (
        "Qt",
        "qipc_sharedmemory_ServerPort07a1a6dcfadd97d64f9f7f13063e6345d8b33ce8",
        None,
        "ServerPort07a1a6dcfadd97d64f9f7f13063e6345d8b33ce8",
    ),
    (
        "Qt",
        "sem.qipc_systemsem_ServerPort07a1a6dcfadd97d64f9f7f13063e6345d8b33ce8",
        None,
        "ServerPort07a1a6dcfadd97d64f9f7f13063e6345d8b33ce8",
    ),
    ("R bigmemory", f"{UUID}_counter", None, UUID),
    ("R bigmemory", f"{UUID}_column_12", None, UUID),
    ("Ray, Apache Arrow Plasma", "plasmaaB3xYz", None, None),
    ("shmctl --replace", ".shmctl-replace-4711-0123abcd", 4711, None),
    ("shmctl run", "shmctl-run-4711-0123abcd", 4711, None),
    ("shmctl's library", "shmctl-py-4711-0123abcd", 4711, None),
    ("SGLang", "sgl_shm_mm_4711_0badcafe", 4711, None),
    ("SGLang", "multi_tokenizer_args_4711", 4711, None),
    ("SGLang", "sglang_loads_4c00ec5647f7_b4fb99a3.shm", None, None),
    ("snap", "snap.some-app_2.segment", None, None),
    ("snap", "sem.snap.some-app.lock", None, None),
    ("snap", "snap.some-app", None, None),
    ("SPDK", "bdevperf_trace.pid4711", 4711, None),
    ("SPDK", "nvmf_trace.0", None, None),
    ("SPICE", "spice.4711", 4711, None),
    ("Squid", "squid-cf__metadata.shm", None, None),
    ("Steam", "u1000-ValveIPCSharedObj-Steam", None, None),
    ("Steam", "u1000-Shm_125376fc", None, None),
    ("Steam", "ValveIPCSHM_1000", None, None),
    ("SuperCollider", "SuperColliderServer_57110", None, None),
    ("sysrepo", "sr_main", None, None),
    ("sysrepo", "srsub_ietf-interfaces.running.0badcafe", None, None),
    ("Triton Inference Server", "triton_python_backend_shm_region_6", None, None),
    ("UCX", "ucx_shm_posix_2e841ba5", None, None),
    ("vLLM", "vllm_offload_0badcafe.mmap", None, None),
    ("Wayland clients", "wl_shm-abCDef", None, None),
    ("WebKit", "WK2SharedMemory.3812345678", None, None),
    ("Wine", "wine-2e841ba5-fsync", None, None),
    ("Wine", "wine-2e841ba5-esync", None, None),
    ("wlroots", "wlroots-abCDef", None, None),
    ("ZoneMinder", "zm.mmap.1", None, None),
    ("Zoom", "aomshm.1234", None, None),
]
# A snap's Firefox is Firefox first, and the PID tells more than the snap's name.
INTENDED = {("Firefox", "snap")}
STRANGERS = [
    "shmtest",
    "sem.shmtest",
    "psm_",
    "psm_95b62aa",
    "torch_",
    "torch_x_1_2",
    "nccl-1234567",
    UUID,
    "x psm_95b62aa5",
]

GOOD = """
[[family]]
software = "Widget"
match = ['widget-(?P<pid>[0-9]+)']
lifetime = "creator"
source = "its manual"
checked = true
"""


def named(text: str) -> Name:
    return Name(b"/" + os.fsencode(text))


@pytest.fixture(scope="module")
def built_in() -> Families:
    return Families(parse_families(Path(BUILT_IN).read_text(encoding="utf-8"), BUILT_IN))


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's file would be; the file of /etc would be beside it, as ``system.toml``."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(family_files, "SYSTEM", str(tmp_path / "system.toml"))
    path = tmp_path / "shmctl" / "families.toml"
    path.parent.mkdir()
    return path


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def problem(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_families(text, "families.toml")
    return str(caught.value)


def software(found: families.Match | None) -> str | None:
    return found.family.software if found else None


# The built-in file


@pytest.mark.parametrize(("made_by", "text", "pid", "set_key"), EXAMPLES, ids=[row[1] for row in EXAMPLES])
def test_built_in_example(
    built_in: Families, made_by: str, text: str, pid: int | None, set_key: str | None
) -> None:
    found = built_in.match(named(text))
    assert found is not None
    assert (found.family.software, found.pid, found.set_key) == (made_by, pid, set_key)


def test_every_built_in_pattern_has_an_example(built_in: Families) -> None:
    for family in built_in:
        for pattern in family.patterns:
            names = [text for made_by, text, _, _ in EXAMPLES if made_by == family.software]
            assert any(compiled(pattern).fullmatch(text) for text in names), pattern


def test_no_example_has_two_makers(built_in: Families) -> None:
    for made_by, text, _, _ in EXAMPLES:
        others = {
            family.software
            for family in built_in
            if any(compiled(pattern).fullmatch(text) for pattern in family.patterns)
            and family.software != made_by
        }
        assert all((made_by, other) in INTENDED for other in others), (text, others)


@pytest.mark.parametrize("text", STRANGERS)
def test_a_name_of_nobody(built_in: Families, text: str) -> None:
    assert built_in.match(named(text)) is None


def test_built_in_entries_are_sorted_and_say_where_they_come_from(built_in: Families) -> None:
    makers = [family.software for family in built_in]
    assert makers == sorted(makers, key=str.casefold)
    tables = tomllib.loads(Path(BUILT_IN).read_text(encoding="utf-8"))["family"]
    assert all(table["source"] for table in tables)
    assert sum(table["checked"] for table in tables) > len(makers) / 2


@pytest.mark.parametrize(
    ("text", "lifetime"),
    [
        ("__KMP_REGISTERED_LIB_4711", Lifetime.CREATOR),
        ("libpod_lock", Lifetime.PERSISTENT),
        ("u1000-Shm_125376fc", Lifetime.PERSISTENT),
        ("sr_main", Lifetime.PERSISTENT),
        ("nvmf_trace.0", Lifetime.PERSISTENT),
        ("nvmf_trace.pid4711", Lifetime.USERS),
        ("psm_95b62aa5", Lifetime.USERS),
    ],
)
def test_lifetimes_that_matter_most(built_in: Families, text: str, lifetime: Lifetime) -> None:
    found = built_in.match(named(text))
    assert found is not None
    assert found.family.lifetime is lifetime


# Matching


@pytest.mark.parametrize(
    ("text", "pid"),
    [
        ("i3-log-1", 1),
        ("i3-log-4194304", 4194304),
        ("i3-log-4194305", None),
        ("i3-log-0", None),
        ("i3-log-0471", None),
        ("i3-log-" + "9" * 200, None),
    ],
)
def test_a_number_that_cannot_be_a_pid_is_none(built_in: Families, text: str, pid: int | None) -> None:
    found = built_in.match(named(text))
    assert found is not None
    assert (found.family.software, found.pid) == ("i3", pid)


def test_user_ids(built_in: Families) -> None:
    uids = {}
    for text in ("libpod_rootless_lock_1000", "jack-0-3", "jack-007-3", "jack-99999999999-3", "libpod_lock"):
        found = built_in.match(named(text))
        assert found is not None
        uids[text] = found.uid
    assert list(uids.values()) == [1000, 0, None, None, None]


def test_a_name_that_is_not_utf8() -> None:
    whole = parse_families(GOOD.replace("widget-(?P<pid>[0-9]+)", "w.(?P<pid>[0-9]+)"), "x")
    found = Families(whole).match(Name(b"/w\xff12"))
    assert found is not None
    assert found.pid == 12
    assert Families(whole).match(Name(b"/\xff")) is None


def test_the_whole_name_counts_and_a_line_feed_is_a_byte_like_any_other() -> None:
    widgets = Families(
        parse_families(GOOD + '[[family]]\nsoftware="S"\nmatch=["s_.+"]\nlifetime="users"\n', "x")
    )
    assert widgets.match(named("widget-12\n")) is None
    assert widgets.match(named("widget-12x")) is None
    assert software(widgets.match(named("s_a\nb"))) == "S"


def test_the_first_family_wins_whether_or_not_its_names_begin_alike() -> None:
    text = """
[[family]]
software = "first"
match = ['.*x']
lifetime = "users"
[[family]]
software = "second"
match = ['wid.*', '.*y']
lifetime = "users"
"""
    both = Families(parse_families(text, "x"))
    made_by = [software(both.match(named(name))) for name in ("widx", "widy", "zx", "zy", "z")]
    assert made_by == ["first", "second", "first", "second", None]


def test_sets_hold_within_a_family(built_in: Families) -> None:
    names = (
        "fastrtps_port7400",
        "fastrtps_port7400_el",
        "fastrtps_port7400_sl",
        "sem.fastrtps_port7400_mutex",
    )
    found = [built_in.match(named(name)) for name in names]
    assert len({(match.family, match.set_key) for match in found if match}) == 1
    other = built_in.match(named("fastrtps_port7401"))
    assert other is not None
    assert other.set_key != "fastrtps_port7400"


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("abc", "abc"),
        (r"a\.b-c_[0-9]", "a.b-c_"),
        ("abc*", "ab"),
        ("abc?d", "ab"),
        ("abc{0,2}", "ab"),
        ("abc+d", "abc"),
        ("abc|abd", ""),
        ("ab(c|d)e", "ab"),
        ("ab[|]c", "ab"),
        (r"ab\|c", "ab|c"),
        ("ab(c(d|e)|f)g", "ab"),
        ("ab(c)|x", ""),
        (r"\d+", ""),
        (r"a\d", "a"),
        ("(?i)abc", ""),
        ("^abc", ""),
        (".abc", ""),
        ("", ""),
    ],
)
def test_literal_prefix(pattern: str, prefix: str) -> None:
    assert literal_prefix(pattern) == prefix


def test_prefixes_never_keep_a_match_away(built_in: Families) -> None:
    for family in built_in:
        for pattern in family.patterns:
            for _, text, _, _ in EXAMPLES:
                if compiled(pattern).fullmatch(text):
                    assert text.startswith(literal_prefix(pattern))


def test_matching_is_faster_than_trying_each_pattern(built_in: Families) -> None:
    names = [named(f"{text}{number}") for number in range(5) for _, text, _, _ in EXAMPLES]
    patterns = [compiled(pattern) for family in built_in for pattern in family.patterns]

    def one_by_one() -> None:
        for name in names:
            bare = name[1:].decode("utf-8", "surrogateescape")
            any(pattern.fullmatch(bare) for pattern in patterns)

    def indexed() -> None:
        for name in names:
            built_in.match(name)

    def best(run: object) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            run()  # type: ignore[operator]
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(indexed) < best(one_by_one)


def test_importing_the_module_is_cheap() -> None:
    script = "import sys, shmctl.core.inspect.family_files; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not {"tomllib", "difflib", "importlib.resources"} & set(loaded.split())


# Files of one's own


def test_without_files_there_are_the_built_in_families(user: Path, built_in: Families) -> None:
    assert list(load_families()) == list(built_in)


def test_the_users_file_comes_before_etc_and_that_before_the_built_in_one(user: Path) -> None:
    system = user.parent.parent / "system.toml"
    text = '[[family]]\nsoftware = "{}"\nmatch = ["{}"]\nlifetime = "users"\n'
    write(system, text.format("system", "(widget|psm_).*"))
    assert software(load_families().match(named("widget"))) == "system"
    assert software(load_families().match(named("psm_95b62aa5"))) == "system"
    write(user, text.format("user", "widget"))
    loaded = load_families()
    assert software(loaded.match(named("widget"))) == "user"
    assert software(loaded.match(named("psm_95b62aa5"))) == "system"
    assert software(loaded.match(named("libpod_lock"))) == "Podman"


def test_an_entry_needs_neither_source_nor_checked() -> None:
    (family,) = parse_families('[[family]]\nsoftware = "S"\nmatch = ["s"]\nlifetime = "users"\n', "x")
    assert family.software == "S"


def test_an_empty_file_has_no_families(user: Path, built_in: Families) -> None:
    write(user, "# nothing yet\n")
    assert list(load_families()) == list(built_in)


def test_no_home_at_all_is_no_error(user: Path, monkeypatch: pytest.MonkeyPatch, built_in: Families) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null/config")
    assert list(load_families()) == list(built_in)


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646, 0o622])
def test_a_file_that_others_may_write_is_refused(user: Path, mode: int) -> None:
    write(user, GOOD)
    user.chmod(mode)
    with pytest.raises(InputError, match=re.escape(f"{user}: refused")) as caught:
        load_families()
    assert f"{mode:04o}" in str(caught.value)
    assert caught.value.hint == f"chmod go-w {user}"


@pytest.mark.needs_root
def test_a_file_of_somebody_else_is_refused(user: Path) -> None:
    write(user, GOOD)
    os.chown(user, 65534, 65534)
    with pytest.raises(InputError, match=re.escape(f"{user}: refused, because it belongs to")):
        load_families()


@pytest.mark.needs_root
def test_roots_file_is_good_for_everybody(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(user, GOOD)
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert software(load_families().match(named("widget-12"))) == "Widget"


def test_what_is_no_file_is_refused_and_not_waited_for(user: Path) -> None:
    os.mkfifo(user)
    # By a process that would be killed if it waited.
    result = run("leaks")
    assert result.status == 2, result
    assert f"{user}: cannot be read: it is a FIFO" in result.errors
    user.unlink()
    user.mkdir()
    with pytest.raises(InputError, match=r"families\.toml: cannot be read: it is a directory"):
        load_families()


@pytest.mark.needs_root
def test_an_unreadable_file_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as config:
        os.chmod(config, 0o755)  # noqa: S103 - its directory has to be open to all
        folder = Path(config) / "shmctl"
        folder.mkdir()
        (folder / "families.toml").write_text(GOOD)
        (folder / "families.toml").chmod(0)
        code = "from shmctl.core.inspect.family_files import load_families as load; load()"
        argv = ["env", f"XDG_CONFIG_HOME={config}", python_for_all(), "-c", code]
        result = run_command(as_nobody(argv))
    assert re.search(r"families\.toml'?: Permission denied \(EACCES\)", result.errors), result


def test_an_error_of_open_names_the_file(user: Path) -> None:
    user.symlink_to(user)
    with pytest.raises(FileError, match=r"families\.toml': Too many levels of symbolic links \(ELOOP\)"):
        load_families()


def test_bytes_that_are_not_utf8(user: Path) -> None:
    user.write_bytes(b"# one\n# two\n# \xff\n")
    user.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with pytest.raises(InputError, match=re.escape(f"{user}: it is not UTF-8 (at byte 14)")):
        load_families()


# Bad files: each names the file, the family and the key

WIDGET = "families.toml: family 1 ('Widget'): "
BAD = {
    "syntax": ("software = \n", "families.toml: Invalid value (at line 1, column 12)"),
    "end": ('[[family]]\nsoftware = """x\n\n', "families.toml: Unterminated string (at end of document)"),
    "root": ("\nfamly = 1\n", "families.toml: unknown key 'famly'; did you mean 'family'?"),
    "header": ("# x\n\n[[famly]]\n", "families.toml: unknown key 'famly'; did you mean 'family'?"),
    "table": ("\n[family]\n", "families.toml: 'family' must be tables, each with the header [[family]]"),
    "number": ("family = 3\n", "families.toml: 'family' must be tables, each with the header [[family]]"),
    "key": (
        GOOD + GOOD.replace("lifetime", "lifetme"),
        "families.toml: family 2 ('Widget'): unknown key 'lifetme'; did you mean 'lifetime'?",
    ),
    "strange key": (
        GOOD + "zzz = 1\n",
        WIDGET + "unknown key 'zzz'; known: software, match, lifetime, tracker, source, checked",
    ),
    "table below": (
        GOOD + "[family.match2]\n",
        WIDGET + "unknown key 'match2'; did you mean 'match'?",
    ),
    "missing": (
        GOOD + "\n\n[[family]]\nsoftware = 'x'\n",
        "families.toml: family 2 ('x'): the key 'match' is missing",
    ),
    "empty software": (
        "[[family]]\nmatch=['x']\nsoftware=''\nlifetime='users'\n",
        "families.toml: family 1: 'software' is empty",
    ),
    "empty match": (
        "[[family]]\nsoftware='x'\nmatch=[]\nlifetime='users'\n",
        "families.toml: family 1 ('x'): 'match' is empty",
    ),
    "type of software": (
        GOOD.replace('"Widget"', "3"),
        "families.toml: family 1: 'software' must be a string",
    ),
    "type of match": (
        GOOD.replace("['widget-(?P<pid>[0-9]+)']", "'x'"),
        WIDGET + "'match' must be a list of strings",
    ),
    "type in match": (
        GOOD.replace("['widget-(?P<pid>[0-9]+)']", "['(?P<pid>1)', 2]"),
        WIDGET + "'match' must be a list of strings",
    ),
    "type of lifetime": (
        GOOD.replace('"creator"', "true"),
        WIDGET + "'lifetime' must be a string",
    ),
    "type of tracker": (GOOD + "tracker = 1\n", WIDGET + "'tracker' must be a string"),
    "tracker": (GOOD + "tracker = '('\n", WIDGET + "bad pattern '(': missing ), unterminated subpattern"),
    "tracker of everything": (
        GOOD + "tracker = 'x*'\n",
        WIDGET + "the tracker 'x*' matches the empty command line",
    ),
    "type of source": (
        GOOD.replace('"its manual"', "1979-05-27"),
        WIDGET + "'source' must be a string",
    ),
    "type of checked": (
        GOOD.replace("= true", "= 1"),
        WIDGET + "'checked' must be true or false",
    ),
    "lifetime": (
        GOOD.replace("creator", "persistant"),
        WIDGET + "unknown lifetime 'persistant'; did you mean 'persistent'?",
    ),
    "strange lifetime": (
        GOOD.replace("creator", "zzz"),
        WIDGET + "unknown lifetime 'zzz'; known: users, creator, persistent",
    ),
    "regex": (
        GOOD.replace("[0-9]+)", "[0-9]+"),
        WIDGET + "bad pattern 'widget-(?P<pid>[0-9]+': missing ), unterminated subpattern",
    ),
    "doubtful regex": (
        GOOD.replace("widget", "[[a]"),
        WIDGET + "bad pattern '[[a]-(?P<pid>[0-9]+)'",
    ),
    "empty name": (
        GOOD.replace("widget-(?P<pid>[0-9]+)", "(?P<pid>[0-9]*)"),
        WIDGET + "the pattern '(?P<pid>[0-9]*)' matches the empty name",
    ),
    "group": (
        GOOD.replace("<pid>", "<pdi>"),
        WIDGET + "unknown group 'pdi'; did you mean 'pid'?",
    ),
    "no pid": (
        GOOD.replace("?P<pid>", ""),
        WIDGET + "lifetime 'creator' needs a group (?P<pid>...) in the pattern 'widget-([0-9]+)'",
    ),
    "no newline at the end": (
        GOOD.removesuffix("\n") + "\nzzz = 1",
        WIDGET + "unknown key 'zzz'; known: software, match, lifetime, tracker, source, checked",
    ),
    "length": (
        GOOD.replace("widget", "w" * 1000),
        WIDGET + "'match' has a pattern of 1016 characters, and 1000 are allowed",
    ),
}


@pytest.mark.parametrize("which", BAD)
def test_a_bad_file_is_an_error_that_says_where(which: str) -> None:
    text, message = BAD[which]
    assert problem(text).startswith(message)


def test_nesting_without_end() -> None:
    assert problem("a = " + "[" * 10_000).startswith("families.toml: ")


def test_tables_written_inline_are_counted_too() -> None:
    text = "\nfamily = [{software = 'x', match = ['x'], lifetime = 'users'}, {software = 'y'}]\n"
    assert problem(text) == "families.toml: family 2 ('y'): the key 'match' is missing"


def test_the_error_of_a_users_file_names_it(user: Path) -> None:
    write(user, GOOD.replace("creator", "zzz"))
    with pytest.raises(InputError, match=re.escape(f"{user}: family 1 ('Widget'): unknown lifetime 'zzz'")):
        load_families()
