"""thin.py IN OUT ARCH: keeps of a shared library's device code (.nv_fatbin) that of one architecture (e.g. 90).

Each fat binary is rewritten in place: its header names the kept entries' size, and what is behind them is
zeros. So no offset in the file changes, and the file compresses to a fraction."""
import collections, mmap, shutil, struct, subprocess, sys

source, target, keep = sys.argv[1], sys.argv[2], int(sys.argv[3])
for line in subprocess.check_output(["readelf", "-SW", source], text=True).splitlines():
    f = line.replace("[", " ").replace("]", " ").split()
    if len(f) > 5 and f[1] == ".nv_fatbin":
        offset, size = int(f[4], 16), int(f[5], 16)
        break
else:
    sys.exit(f"{source} has no .nv_fatbin")
shutil.copyfile(source, target)
had, kept, containers, empty = collections.Counter(), 0, 0, 0
with open(target, "r+b") as file, mmap.mmap(file.fileno(), 0) as m:
    at, end = offset, offset + size
    while at < end:
        if m[at : at + 4] != b"\x50\xed\x55\xba":  # padding
            if m[at : at + 8] != bytes(8):
                sys.exit(f"unknown data at {at:#x}")
            at += 8
            continue
        header, fat = struct.unpack_from("<HQ", m, at + 6)
        entry, stop, body = at + header, at + header + fat, bytearray()
        while entry < stop:
            head, payload = struct.unpack_from("<IQ", m, entry + 4)
            arch = struct.unpack_from("<I", m, entry + 28)[0]
            if head < 64 or entry + head + payload > stop:
                sys.exit(f"unknown entry at {entry:#x}")
            had[arch] += payload
            if arch == keep:
                body += m[entry : entry + head + payload]
                kept += payload
            entry += head + payload
        containers += 1
        if not body:
            empty += 1
        else:
            struct.pack_into("<Q", m, at + 8, len(body))
            m[at + header : stop] = bytes(body) + bytes(stop - at - header - len(body))
        at = (stop + 7) // 8 * 8
print(f"{containers} fat binaries, {empty} without sm_{keep} left as they are; kept {kept} of {sum(had.values())} bytes; had", dict(sorted(had.items())))
