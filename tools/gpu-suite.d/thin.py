"""Keeps of a shared library's device code that of one architecture.

usage: thin.py IN OUT ARCHITECTURE      (90: an H100's)

Each fat binary in the section .nv_fatbin is rewritten in place: its header then names the size of the kept
entries, and zeros follow them. So no offset in the file changes, and the file compresses well. A fat binary
without that architecture's code stays as it is; anything unknown in the section is an error.
"""

import mmap
import shutil
import struct
import subprocess
import sys

MAGIC = b"\x50\xed\x55\xba"


def device_code(library):
    """Offset and size of .nv_fatbin."""
    sections = subprocess.check_output(["readelf", "-SW", library], text=True)
    for line in sections.splitlines():
        fields = line.replace("[", " ").replace("]", " ").split()
        if len(fields) > 5 and fields[1] == ".nv_fatbin":
            return int(fields[4], 16), int(fields[5], 16)
    sys.exit(f"thin.py: {library} has no .nv_fatbin")


def thin(code, at, keep):
    """Thins the fat binary at an offset; returns where it ends, the bytes it had and those it has."""
    header, size = struct.unpack_from("<HQ", code, at + 6)
    entry, stop, kept = at + header, at + header + size, bytearray()
    while entry < stop:
        head, payload = struct.unpack_from("<IQ", code, entry + 4)
        architecture = struct.unpack_from("<I", code, entry + 28)[0]
        if head < 64 or entry + head + payload > stop:
            sys.exit(f"thin.py: unknown entry at {entry:#x}")
        if architecture == keep:
            kept += code[entry : entry + head + payload]
        entry += head + payload
    if not kept:
        return stop, size, size
    struct.pack_into("<Q", code, at + 8, len(kept))
    code[at + header : stop] = bytes(kept) + bytes(size - len(kept))
    return stop, size, len(kept)


def main(source, target, keep):
    at, size = device_code(source)
    end, had, has = at + size, 0, 0
    shutil.copyfile(source, target)
    with open(target, "r+b") as file, mmap.mmap(file.fileno(), 0) as code:
        while at < end:
            if code[at : at + 4] == MAGIC:
                stop, before, after = thin(code, at, keep)
                had, has, at = had + before, has + after, (stop + 7) // 8 * 8
            elif code[at : at + 8] == bytes(8):  # between two of them
                at += 8
            else:
                sys.exit(f"thin.py: unknown data at {at:#x}")
    print(f"{source}: kept {has} of {had} bytes of device code")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
