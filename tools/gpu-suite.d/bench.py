"""Times the CUDA kernels beside the PyTorch way of doing the same, on the same device and data.

usage: bench.py LIBRARY [--seed N] [--tier NAME] [--device cpu]

Prints Markdown tables. Results are compared before anything is timed; a disagreement is exit code
1 at the end, a missing torch or device exit code 77. Times are medians of wall-clock time per call, the
wait for the device included, for both sides. --tier leaves out the tiers above it. With --device cpu and
the host library the script itself can be tried on small sizes where there is no device; its figures mean
nothing then.
"""

import argparse
import ctypes
import statistics
import sys
import time

SKIPPED = 77
DEVICE = "cuda"
TIERS = {0: "float32", 5: "tensor", 6: "hopper"}

try:
    import torch
except ImportError as error:
    print(f"skipped: torch cannot be imported ({error})")
    sys.exit(SKIPPED)

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
    "nas_codebook_create": [POINTER, I64, I64, POINTER, POINTER, POINTER],
    "nas_codebook_close": [POINTER],
    "nas_codebook_read": [POINTER] * 6,
    "nas_lookup": [POINTER, POINTER, ctypes.c_int32, I64, I64] + [POINTER] * 5,
    "nas_accumulate": [POINTER, POINTER, ctypes.c_int32, I64, I64] + [POINTER] * 5,
    "nas_apply": [POINTER, POINTER, POINTER, DOUBLE, DOUBLE, DOUBLE, POINTER],
    "nas_neighbours": [POINTER, I64, POINTER, POINTER, POINTER],
    "nas_set_tier": [ctypes.c_int32],
    "nas_update": [POINTER, POINTER, ctypes.c_int32, I64, I64, POINTER]
    + [DOUBLE] * 3
    + [POINTER] * 2,
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


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def median_ms(call):
    for _ in range(2):
        call()
    wait()
    times = []
    begin = time.perf_counter()
    while len(times) < 5 or (len(times) < 50 and time.perf_counter() - begin < 0.5):
        start = time.perf_counter()
        call()
        wait()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


class Peaks:
    """What this device reaches in PyTorch: the yardsticks of the tables below."""

    def __init__(self, small):
        n = 256 if small else 8192
        self.flops = {}
        for name, dtype, tf32 in (
            ("bf16", torch.bfloat16, False),
            ("TF32", torch.float32, True),
            ("float32", torch.float32, False),
        ):
            a = torch.randn(n, n, device=DEVICE).to(dtype)
            b = torch.randn(n, n, device=DEVICE).to(dtype)
            torch.backends.cuda.matmul.allow_tf32 = tf32
            self.flops[name] = 2 * n**3 / (median_ms(lambda: torch.mm(a, b)) * 1e-3)
            torch.backends.cuda.matmul.allow_tf32 = False
        source = torch.empty(2**20 if small else 2**29, dtype=torch.uint8, device=DEVICE)
        target = torch.empty_like(source)
        self.bandwidth = 2 * source.numel() / (median_ms(lambda: target.copy_(source)) * 1e-3)

    def table(self):
        print("| measured on this device | |\n| --- | --- |")
        for name, flops in self.flops.items():
            print(f"| matrix product, {name} | {flops * 1e-12:.0f} TFLOP/s |")
        print(f"| copy, read and write | {self.bandwidth * 1e-9:.0f} GB/s |\n")


DISAGREEMENTS = []


def require(condition, what):
    """Notes a disagreement and goes on, as the rest is worth knowing too."""
    if not condition:
        DISAGREEMENTS.append(what)
        print(f"DISAGREEMENT: {what}", flush=True)


def row(kernel, size, ours, other, how, note=""):
    print(f"| {kernel} | {size} | {ours:.3f} | {other:.3f} | {other / ours:.2f} | {how} | {note} |")
    sys.stdout.flush()


def worst_excess(e, x, indices):
    """How much farther than the nearest codeword the chosen ones are, at most, as a share."""
    e64 = e.double()
    squares64 = (e64 * e64).sum(1)
    worst = 0.0
    for first in range(0, len(x), 8192):
        x64 = x[first : first + 8192].double()
        # |e|^2 - 2xe, to which |x|^2 is added so that the excess can be put in proportion.
        scores = squares64 - 2 * (x64 @ e64.t())
        scores += (x64 * x64).sum(1, keepdim=True)
        own = scores.gather(1, indices[first : first + 8192].long()[:, None])[:, 0]
        least = scores.amin(1)
        worst = max(worst, ((own - least) / least.clamp_min(1e-12)).max().item())
    return worst


def torch_lookups(e, x, compiled):
    """PyTorch's ways, none of them exact: name and call."""
    squares = (e * e).sum(1)
    transposed = e.t().contiguous()
    e16, x16, squares16 = transposed.bfloat16(), x.bfloat16(), squares.bfloat16()

    def single():
        return torch.addmm(squares, x, transposed, alpha=-2).argmin(1)

    def tf32():
        torch.backends.cuda.matmul.allow_tf32 = True
        try:
            return single()
        finally:
            torch.backends.cuda.matmul.allow_tf32 = False

    def half():
        return torch.addmm(squares16, x16, e16, alpha=-2).argmin(1)

    ways = [("float32", single), ("TF32", tf32), ("bf16", half)]
    if compiled:
        ways.append(("bf16, compiled", torch.compile(half, dynamic=False)))
    return ways


def bench_lookup(nas, codebook, peaks, e, x, kind, tiers, compiled=False):
    rows, d = x.shape
    K = len(e)
    known = None
    times = {}
    for tier in tiers:
        nas.set_tier(tier)
        indices = torch.full((rows,), -1, dtype=torch.int32, device=DEVICE)
        nas.lookup(codebook, x, 0, rows, d, indices, None, None, None, None)
        if known is None:
            worst = worst_excess(e, x, indices)
            require(worst < 1e-9, f"lookup: a codeword is farther than the nearest by {worst:.3g}")
            known = indices
        require(torch.equal(known, indices), f"lookup: tier {TIERS[tier]} gives other indices")
        times[tier] = median_ms(
            lambda: nas.lookup(codebook, x, 0, rows, d, indices, None, None, None, None)
        )
    others = []
    for name, way in torch_lookups(e, x, compiled):
        try:
            differing = (way() != known).sum().item()
            others.append((name, median_ms(way), differing))
        except (RuntimeError, torch.OutOfMemoryError) as error:
            print(f"<!-- {name}: {str(error).splitlines()[0]} -->")
    for tier, ms in times.items():
        rate = 2.0 * rows * K * d / (ms * 1e-3)
        ratios = ", ".join(f"{name} {other / ms:.2f}" for name, other, _ in others)
        print(
            f"| {rows:,} x {K:,} x {d}, {kind} | {TIERS[tier]} | {ms:.3f} | {rate * 1e-12:.0f} |"
            f" {100 * rate / peaks.flops['bf16']:.0f} % | {ratios} |"
        )
    wrong = ", ".join(f"{name} {count:,}" for name, _, count in others)
    print(f"| | *rows that PyTorch gets wrong* | | | | {wrong} |")
    sys.stdout.flush()
    nas.set_tier(0)
    return known


def share(peaks, moved, ms):
    return f"{100 * moved / (ms * 1e-3) / peaks.bandwidth:.0f} % of copy bandwidth"


def bench_accumulate(nas, codebook, peaks, e, x, codes, how):
    rows, d = x.shape
    K = len(e)
    counts = torch.zeros(K, dtype=torch.float64, device=DEVICE)
    sums = torch.zeros(K, d, dtype=torch.float64, device=DEVICE)
    nas.accumulate(codebook, x, 0, rows, d, codes, counts, sums, None, None)
    wide = codes.long()
    expected = torch.zeros_like(sums).index_add_(0, wide, x.double())
    require(
        torch.allclose(sums, expected, rtol=1e-12, atol=1e-9), "accumulate: sums differ"
    )
    require(torch.equal(counts, torch.bincount(wide, minlength=K).double()), "accumulate: counts")
    again = torch.zeros_like(sums)
    nas.accumulate(codebook, x, 0, rows, d, codes, torch.zeros_like(counts), again, None, None)
    require(torch.equal(sums, again), "accumulate: other bits the second time")

    single_sums = torch.zeros(K, d, device=DEVICE)
    single_counts = torch.zeros(K, device=DEVICE)
    ones = torch.ones(rows, device=DEVICE)

    def other():
        single_sums.index_add_(0, wide, x)
        single_counts.index_add_(0, wide, ones)

    ours_ms = median_ms(
        lambda: nas.accumulate(codebook, x, 0, rows, d, codes, counts, sums, None, None)
    )
    row(
        "accumulate",
        f"rows {rows}, K {K}, d {d}, {how}",
        ours_ms,
        median_ms(other),
        "index_add_, float32 atomics",
        "ours: float64, fixed order; " + share(peaks, 4 * rows * d, ours_ms),
    )
    ours_ms = median_ms(
        lambda: nas.update(codebook, x, 0, rows, d, codes, 0.99, 1e-5, 0.1, None, None)
    )

    def whole():
        sums = torch.zeros(K, d, device=DEVICE).index_add_(0, wide, x)
        counts = torch.zeros(K, device=DEVICE).index_add_(0, wide, ones)
        n.mul_(0.99).add_(counts, alpha=0.01)
        m.mul_(0.99).add_(sums, alpha=0.01)
        return m / ((n + 1e-5) / (n.sum() + K * 1e-5) * n.sum())[:, None]

    n = torch.ones(K, device=DEVICE)
    m = e.clone()
    row(
        "update",
        f"rows {rows}, K {K}, d {d}, {how}",
        ours_ms,
        median_ms(whole),
        "index_add_ and EMA, float32",
        "ours: also packs the codewords for lookups; " + share(peaks, 4 * rows * d, ours_ms),
    )


def bench_neighbours(nas, codebook, e, R, tiers):
    K, d = e.shape

    def other():
        distances = torch.cdist(e, e)
        distances.fill_diagonal_(float("inf"))
        return distances.topk(R, largest=False).indices

    e64 = e.double()
    exact = torch.cdist(e64, e64, compute_mode="donot_use_mm_for_euclid_dist")
    exact.fill_diagonal_(float("inf"))
    best = exact.topk(R, largest=False, sorted=True).values
    for tier in tiers:
        if tier == 6:  # has those of the tensor tier
            continue
        nas.set_tier(tier)
        lists = torch.empty(K, R, dtype=torch.int32, device=DEVICE)
        nas.neighbours(codebook, R, None, lists, None)
        own = exact.gather(1, lists.long())
        require(torch.allclose(own, best, rtol=1e-12, atol=0), "neighbours: not the nearest")
        row(
            f"neighbours, {TIERS[tier]}",
            f"K {K}, d {d}, R {R}",
            median_ms(lambda: nas.neighbours(codebook, R, None, lists, None)),
            median_ms(other),
            "cdist + topk, float32",
        )
    nas.set_tier(0)
    return lists


def bench_swap(nas, codebook, peaks, e, lists, seed, B):
    N, M, R = 256, 39, lists.shape[1]
    K, d = e.shape
    tokens = torch.randn(B, N, d, device=DEVICE)
    codes = torch.empty(B, N, dtype=torch.int32, device=DEVICE)
    nas.lookup(codebook, tokens, 0, B * N, d, codes, None, None, None, None)
    text = torch.rand(B, N, device=DEVICE)
    image = torch.rand(B, N, device=DEVICE)
    ids = torch.arange(B, device=DEVICE)
    positions = torch.empty(B, M, dtype=torch.int32, device=DEVICE)
    substitutes = torch.empty(B, M, dtype=torch.int32, device=DEVICE)
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
    present = torch.zeros(B, K, dtype=torch.bool, device=DEVICE).scatter_(1, wide, True)
    taken = substitutes.clamp_min(0).long()
    require(
        not (present.gather(1, taken) & (substitutes >= 0)).any().item(),
        "swap: a substitute is a code of the image",
    )

    def other():
        where = choose()
        z = wide.gather(1, where)
        candidates = lists.long()[z]
        seen = torch.zeros(B, K, dtype=torch.bool, device=DEVICE).scatter_(1, wide, True)
        usable = (candidates >= 0) & ~seen.gather(1, candidates.clamp_min(0).view(B, -1)).view(
            B, M, R
        )
        # A uniform choice among the usable ones; one draw per position, not per code.
        picked = torch.where(usable, torch.rand(B, M, R, device=DEVICE), -1.0).argmax(2)
        new = candidates.gather(2, picked[..., None])[..., 0]
        new = torch.where(usable.any(2), new, -1)
        return exchange(where, z, new)

    ours_ms = median_ms(ours)
    row(
        "swap",
        f"images {B}, tokens {N}, chosen {M}, d {d}",
        ours_ms,
        median_ms(other),
        "topk + gather + scatter",
        share(peaks, 8 * B * N * d, ours_ms),
    )


def clustered(e, rows):
    """Rows near codewords: what features look like once a dictionary fits them."""
    near = torch.randint(len(e), (rows,), device=DEVICE)
    return e[near] + 0.3 * torch.randn(rows, e.shape[1], device=DEVICE)


def main():
    global DEVICE
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 62))
    parser.add_argument("--tier", choices=TIERS.values(), default="hopper")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    DEVICE = options.device
    small = DEVICE == "cpu"
    if not small and not torch.cuda.is_available():
        print("skipped: torch sees no CUDA device")
        sys.exit(SKIPPED)
    torch.manual_seed(options.seed)
    torch.backends.cuda.matmul.allow_tf32 = False
    nas = Library(options.library)
    tiers = []
    for tier, tier_name in TIERS.items():
        try:
            nas.set_tier(tier)
            tiers.append(tier)
            if tier_name == options.tier:
                break
        except RuntimeError as error:
            print(f"<!-- tier {tier_name}: {error} -->")
    nas.set_tier(0)
    name = "cpu" if small else torch.cuda.get_device_name()
    print(f"PyTorch {torch.__version__}, {name}, seed {options.seed}\n")
    peaks = Peaks(small)
    peaks.table()

    print("Lookup. TFLOP/s are those of the plain product, 2 N K d.\n")
    print("| N x K x d | tier | NAS ms | TFLOP/s | of bf16 | PyTorch / NAS by addmm and argmin |")
    print("| --- | --- | --- | --- | --- | --- |")
    shapes = [
        (6272, 2048, 768),
        (65536, 2048, 768),
        (50176, 2048, 256),
        (262144, 8192, 768),
        (262144, 16384, 256),
    ]
    if small:
        shapes = [(300, 70, 33)]
    kept = None
    for rows, K, d in shapes:
        e = torch.randn(K, d, device=DEVICE)
        codebook = ctypes.c_void_p()
        nas.codebook_create(e, K, d, None, None, ctypes.byref(codebook))
        x = torch.randn(rows, d, device=DEVICE)
        compiled = (rows, K, d) == shapes[min(1, len(shapes) - 1)] and not small
        codes = bench_lookup(nas, codebook, peaks, e, x, "Gaussian", tiers, compiled)
        bench_lookup(nas, codebook, peaks, e, clustered(e, rows), "clustered", tiers)
        if rows == shapes[min(1, len(shapes) - 1)][0]:
            kept = codebook, e, x, codes
        else:
            nas.codebook_close(codebook)
        del x

    codebook, e, x, codes = kept
    print("\n| kernel | size | NAS ms | PyTorch ms | PyTorch / NAS | PyTorch's way | note |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    even = torch.randint(len(e), (len(x),), dtype=torch.int32, device=DEVICE)
    try:
        lists = bench_neighbours(nas, codebook, e, min(32, len(e) // 2), tiers)
        bench_swap(nas, codebook, peaks, e, lists, options.seed, 2 if small else 128)
        bench_accumulate(nas, codebook, peaks, e, x, codes, "codes as looked up")
        bench_accumulate(nas, codebook, peaks, e, x, even, "codes drawn evenly")
    finally:
        nas.codebook_close(codebook)
    sys.exit(1 if DISAGREEMENTS else 0)


if __name__ == "__main__":
    main()
