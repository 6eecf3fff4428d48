"""Times the CUDA kernels beside the PyTorch way of doing the same, on the same device and data.

usage: bench.py LIBRARY [--seed N]

Prints a Markdown table, with a line for each tier of the lookup. Results are compared before
anything is timed; a disagreement is exit code 1, a missing torch or device exit code 77. Times are
medians of wall-clock time per call, the wait for the device included, for both sides.
"""

import argparse
import ctypes
import statistics
import sys
import time

SKIPPED = 77

try:
    import torch
except ImportError as error:
    print(f"skipped: torch cannot be imported ({error})")
    sys.exit(SKIPPED)

TIERS = {0: "float32", 5: "tensor", 6: "hopper"}  # NAS_TIER_... of the CUDA library

I64 = ctypes.c_int64
POINTER = ctypes.c_void_p
DOUBLE = ctypes.c_double


class SwapParams(ctypes.Structure):
    _fields_ = [
        ("images", I64),
        ("tokens", I64),
        ("chosen", I64),
        ("neighbours", I64),
        ("text_weight", DOUBLE),
        ("seed", ctypes.c_uint64),
        ("step", ctypes.c_uint32),
        ("mode", ctypes.c_int32),
    ]


SIGNATURES = {
    "nas_set_tier": [ctypes.c_int32],
    "nas_codebook_create": [POINTER, I64, I64, POINTER, POINTER, POINTER],
    "nas_codebook_close": [POINTER],
    "nas_codebook_read": [POINTER] * 6,
    "nas_lookup": [POINTER, POINTER, ctypes.c_int32, I64, I64] + [POINTER] * 5,
    "nas_accumulate": [POINTER, POINTER, ctypes.c_int32, I64, I64] + [POINTER] * 5,
    "nas_apply": [POINTER, POINTER, POINTER, DOUBLE, DOUBLE, DOUBLE, POINTER],
    "nas_neighbours": [POINTER, I64, POINTER, POINTER, POINTER],
    "nas_swap": [POINTER, ctypes.POINTER(SwapParams)] + [POINTER] * 11,
}


class Library:
    def __init__(self, path):
        self._library = ctypes.CDLL(path)
        self._library.nas_last_error.restype = ctypes.c_char_p
        for name, arguments in SIGNATURES.items():
            function = getattr(self._library, name)
            function.argtypes = arguments
            function.restype = ctypes.c_int32
        self.best_tier = self._library.nas_best_tier()

    def __getattr__(self, name):
        function = getattr(self._library, "nas_" + name)

        def call(*arguments):
            status = function(
                *[a.data_ptr() if isinstance(a, torch.Tensor) else a for a in arguments]
            )
            if status != 0:
                text = self._library.nas_last_error().decode()
                raise RuntimeError(f"nas_{name}: status {status}: {text}")

        return call


def median_ms(call):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    times = []
    begin = time.perf_counter()
    while len(times) < 10 or (len(times) < 50 and time.perf_counter() - begin < 1.0):
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def require(condition, what):
    if not condition:
        print(f"DISAGREEMENT: {what}")
        sys.exit(1)


def row(kernel, size, ours, other, how, note=""):
    print(f"| {kernel} | {size} | {ours:.3f} | {other:.3f} | {other / ours:.2f} | {how} | {note} |")
    sys.stdout.flush()


def bench_lookup(nas, codebook, e, x):
    rows, d = x.shape
    indices = torch.empty(rows, dtype=torch.int32, device="cuda")
    nas.lookup(codebook, x, 0, rows, d, indices, None, None, None, None)

    squares = (e * e).sum(1)
    transposed = e.t().contiguous()

    def other():
        return torch.addmm(squares, x, transposed, alpha=-2).argmin(1)

    theirs = other()
    e64 = e.double()
    squares64 = (e64 * e64).sum(1)
    worst = 0.0
    for first in range(0, rows, 8192):
        x64 = x[first : first + 8192].double()
        # |e|^2 - 2xe, to which |x|^2 is added so that the excess can be put in proportion.
        scores = squares64 - 2 * (x64 @ e64.t())
        scores += (x64 * x64).sum(1, keepdim=True)
        own = scores.gather(1, indices[first : first + 8192].long()[:, None])[:, 0]
        least = scores.amin(1)
        worst = max(worst, ((own - least) / least.clamp_min(1e-12)).max().item())
    require(worst < 1e-9, f"lookup: a codeword is farther than the nearest by {worst:.3g}")
    differing = (theirs != indices).sum().item()
    other_ms = median_ms(other)
    again = torch.empty_like(indices)
    for tier, name in TIERS.items():
        if tier > nas.best_tier:
            continue
        nas.set_tier(tier)
        again.fill_(-1)
        nas.lookup(codebook, x, 0, rows, d, again, None, None, None, None)
        require(torch.equal(again, indices), f"lookup: {name} gives other codewords than float32")
        row(
            f"lookup, {name}",
            f"rows {rows}, K {len(e)}, d {d}",
            median_ms(lambda: nas.lookup(codebook, x, 0, rows, d, again, None, None, None, None)),
            other_ms,
            "addmm + argmin, float32",
            f"{differing} rows where PyTorch's float32 is not exact",
        )
    nas.set_tier(0)
    return indices


def bench_accumulate(nas, codebook, e, x, codes):
    rows, d = x.shape
    K = len(e)
    counts = torch.zeros(K, dtype=torch.float64, device="cuda")
    sums = torch.zeros(K, d, dtype=torch.float64, device="cuda")
    nas.accumulate(codebook, x, 0, rows, d, codes, counts, sums, None, None)
    wide = codes.long()
    expected = torch.zeros_like(sums).index_add_(0, wide, x.double())
    require(
        torch.allclose(sums, expected, rtol=1e-12, atol=1e-9), "accumulate: sums differ"
    )
    require(torch.equal(counts, torch.bincount(wide, minlength=K).double()), "accumulate: counts")

    single_sums = torch.zeros(K, d, device="cuda")
    single_counts = torch.zeros(K, device="cuda")
    ones = torch.ones(rows, device="cuda")

    def other():
        single_sums.index_add_(0, wide, x)
        single_counts.index_add_(0, wide, ones)

    ours_ms = median_ms(
        lambda: nas.accumulate(codebook, x, 0, rows, d, codes, counts, sums, None, None)
    )
    row(
        "accumulate",
        f"rows {rows}, K {K}, d {d}",
        ours_ms,
        median_ms(other),
        "index_add_, float32 atomics",
        "ours: float64, fixed order",
    )


def bench_neighbours(nas, codebook, e, R):
    K, d = e.shape
    lists = torch.empty(K, R, dtype=torch.int32, device="cuda")
    nas.neighbours(codebook, R, None, lists, None)

    def other():
        distances = torch.cdist(e, e)
        distances.fill_diagonal_(float("inf"))
        return distances.topk(R, largest=False).indices

    e64 = e.double()
    exact = torch.cdist(e64, e64, compute_mode="donot_use_mm_for_euclid_dist")
    exact.fill_diagonal_(float("inf"))
    own = exact.gather(1, lists.long())
    best = exact.topk(R, largest=False, sorted=True).values
    require(torch.allclose(own, best, rtol=1e-12, atol=0), "neighbours: not the nearest")
    row(
        "neighbours",
        f"K {K}, d {d}, R {R}",
        median_ms(lambda: nas.neighbours(codebook, R, None, lists, None)),
        median_ms(other),
        "cdist + topk, float32",
    )
    return lists


def bench_swap(nas, codebook, e, lists, seed):
    B, N, M, R = 128, 256, 39, lists.shape[1]
    K, d = e.shape
    tokens = torch.randn(B, N, d, device="cuda")
    codes = torch.empty(B, N, dtype=torch.int32, device="cuda")
    nas.lookup(codebook, tokens, 0, B * N, d, codes, None, None, None, None)
    text = torch.rand(B, N, device="cuda")
    image = torch.rand(B, N, device="cuda")
    ids = torch.arange(B, device="cuda")
    positions = torch.empty(B, M, dtype=torch.int32, device="cuda")
    substitutes = torch.empty(B, M, dtype=torch.int32, device="cuda")
    swapped = torch.empty_like(tokens)
    params = SwapParams(B, N, M, R, 0.5, seed, 1, 1)

    def ours():
        nas.swap(
            codebook, ctypes.byref(params), text, image, tokens, codes, lists, ids, positions,
            substitutes, swapped, None, None,
        )

    def minmax(s):
        low = s.amin(1, keepdim=True)
        return (s - low) / (s.amax(1, keepdim=True) - low)

    def choose():
        scores = 0.5 * minmax(text.double()) + 0.5 * minmax(image.double())
        return scores.topk(M).indices

    def exchange(chosen, chosen_codes, new_codes):
        result = tokens.clone()
        old = tokens.gather(1, chosen[..., None].expand(-1, -1, d))
        keep = (new_codes < 0)[..., None]
        fresh = (old - e[chosen_codes]) + e[new_codes.clamp_min(0)]
        result.scatter_(1, chosen[..., None].expand(-1, -1, d), torch.where(keep, old, fresh))
        return result

    ours()
    chosen = choose()
    require(
        torch.equal(chosen.sort(1).values, positions.long().sort(1).values),
        "swap: other positions are chosen",
    )
    wide = codes.long()
    own = positions.long()
    require(
        torch.equal(exchange(own, wide.gather(1, own), substitutes.long()), swapped),
        "swap: other tokens",
    )
    present = torch.zeros(B, K, dtype=torch.bool, device="cuda").scatter_(1, wide, True)
    taken = substitutes.clamp_min(0).long()
    require(
        not (present.gather(1, taken) & (substitutes >= 0)).any().item(),
        "swap: a substitute is a code of the image",
    )

    def other():
        where = choose()
        z = wide.gather(1, where)
        candidates = lists.long()[z]
        seen = torch.zeros(B, K, dtype=torch.bool, device="cuda").scatter_(1, wide, True)
        usable = (candidates >= 0) & ~seen.gather(1, candidates.clamp_min(0).view(B, -1)).view(
            B, M, R
        )
        # A uniform choice among the usable ones; one draw per position, not per code.
        picked = torch.where(usable, torch.rand(B, M, R, device="cuda"), -1.0).argmax(2)
        new = candidates.gather(2, picked[..., None])[..., 0]
        new = torch.where(usable.any(2), new, -1)
        return exchange(where, z, new)

    row(
        "swap",
        f"images {B}, tokens {N}, chosen {M}, d {d}",
        median_ms(ours),
        median_ms(other),
        "topk + gather + scatter",
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 62))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("skipped: torch sees no CUDA device")
        sys.exit(SKIPPED)
    torch.manual_seed(options.seed)
    torch.backends.cuda.matmul.allow_tf32 = False
    nas = Library(options.library)
    print(
        f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}, seed {options.seed}\n"
    )
    print("| kernel | size | NAS ms | PyTorch ms | PyTorch / NAS | PyTorch's way | note |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    K, d = 2048, 768
    e = torch.randn(K, d, device="cuda")
    codebook = ctypes.c_void_p()
    nas.codebook_create(e, K, d, None, None, ctypes.byref(codebook))
    try:
        lists = None
        for rows in (6272, 65536):
            x = torch.randn(rows, d, device="cuda")
            codes = bench_lookup(nas, codebook, e, x)
            bench_accumulate(nas, codebook, e, x, codes)
            if lists is None:
                lists = bench_neighbours(nas, codebook, e, 32)
        bench_swap(nas, codebook, e, lists, options.seed)
    finally:
        nas.codebook_close(codebook)


if __name__ == "__main__":
    main()
