/*
 * nas_kernels.h - the C interface of the NAS dictionary kernels.
 *
 * Two shared libraries implement every function declared here:
 *   libnas_kernels       host memory; instruction tiers chosen at run time
 *   libnas_kernels_cuda  device memory of the CUDA device that the codebook lives on
 * "Memory of the library" below means host memory for the first and device memory for the second.
 *
 * Notation: K codewords of width d, `rows` feature vectors, B images of N patch tokens each.
 *
 * Results. Indices, counts, chosen positions and every updated float are the same bits for every
 * tier, thread count, split of the rows into calls, and for both libraries. To make that possible
 * the arithmetic is part of the interface: IEEE 754, round to nearest even, no contraction of
 * a*b+c into a fused operation, no flushing of denormals, sums in the order stated.
 *
 * Distance. D(x, y) for two float32 vectors of width d is computed in float64:
 *   t_i  = (double)x_i - (double)y_i,   p_i = t_i * t_i
 *   a_l  = ((p_l + p_{l+8}) + p_{l+16}) + ...          for lanes l = 0..7 (0.0 for an empty lane)
 *   D    = ((a_0 + a_4) + (a_2 + a_6)) + ((a_1 + a_5) + (a_3 + a_7))
 * It cannot overflow for finite float32 input.
 *
 * Randomness is counter-based: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as
 * 1, 2, 3", SC 2011) with key = (low, high 32 bits of seed) and counter = (low, high 32 bits of
 * sample_id, position, step). Its output words w0, w1 give the 64-bit draw w0 | (uint64)w1 << 32,
 * and a uniform choice among n things is the high 64 bits of draw * n.
 *
 * Errors. Every function returns a nas_status. On failure no output is written unless said
 * otherwise, the codebook is unchanged, and nas_last_error() describes the failure for the calling
 * thread. No function throws, aborts or exits. NULL for a required pointer, a negative size, a
 * product that overflows int64 and a stride shorter than the width are NAS_INVALID_ARGUMENT.
 * Pointers to float must be 4-byte aligned, to double and int64 8-byte aligned. Buffers must not
 * overlap unless said otherwise.
 *
 * Threads. Functions that only read a codebook may run at the same time on the same codebook.
 * nas_codebook_write, _apply, _update, _restart, _reserve and _close, and the functions named _enqueue,
 * need it exclusively; the caller sees to that.
 *
 * Streams. `stream` is a cudaStream_t for the CUDA library (NULL: the legacy default stream) and
 * must be NULL for the host library. A stream belongs to the codebook's device; which device is current
 * in the calling thread does not matter, and is the same after the call. Functions of the CUDA library
 * that return a verdict on their input (a bad row, an index out of range) wait for the stream; their
 * counterparts named _enqueue don't, and may be captured in a CUDA graph (see there). nas_codebook_read and
 * nas_neighbours do not wait either: changes on another stream have to be ordered after them by the caller.
 */
#ifndef NAS_KERNELS_H
#define NAS_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NAS_API __attribute__((visibility("default")))
#else
#define NAS_API
#endif

/* Raised whenever a signature or a meaning in this file changes. */
#define NAS_ABI_VERSION 6

#define NAS_MAX_CODEWORDS 65536 /* K */
#define NAS_MAX_WIDTH 4096      /* d */
#define NAS_MAX_NEIGHBOURS 1024 /* R, the width of neighbour lists */
#define NAS_MAX_THREADS 1024    /* of one call */

typedef int32_t nas_status;
enum {
  NAS_OK = 0,
  NAS_INVALID_ARGUMENT = 1,
  NAS_NON_FINITE = 2,         /* NaN or infinity in an input; the message names the row or codeword */
  NAS_OUT_OF_MEMORY = 3,      /* host memory */
  NAS_DEVICE_OUT_OF_MEMORY = 4,
  NAS_DEVICE_ERROR = 5,       /* any other CUDA failure; the message has the kernel and CUDA's text */
  NAS_INTERNAL = 6
};

/* Instruction tiers of the host library, in rising order. A machine that can run one can run those
 * before it, but for AVX_VNNI, which processors with AVX-512 may lack: see nas_has_tier. */
enum {
  NAS_CPU_TIER_SCALAR = 0,
  NAS_CPU_TIER_AVX2 = 1,        /* AVX2, FMA, F16C: screening in int8, rows rounded to 7 bits */
  NAS_CPU_TIER_AVX_VNNI = 2,    /* and AVX-VNNI: screening in int8 */
  NAS_CPU_TIER_AVX512 = 3,      /* AVX2's and AVX-512 F, DQ, BW, VL: as AVX2 */
  NAS_CPU_TIER_AVX512_VNNI = 4, /* and AVX-512 VNNI: as AVX_VNNI */
  NAS_CPU_TIER_AMX = 5          /* and AMX-INT8, where the operating system grants it */
};

/* Instruction tiers of the CUDA library, in rising order. */
enum {
  NAS_CUDA_TIER_SCALAR = 0,
  NAS_CUDA_TIER_TENSOR = 1, /* compute capability 8.0 or higher: screening in int8 (mma) */
  NAS_CUDA_TIER_HOPPER = 2  /* compute capability 9.0 alone: lookups by wgmma, else as TENSOR */
};

/* Element types of feature rows. The narrower two are widened to float32 exactly; all that follows is
 * defined on the float32 values. Strides count elements; pointers must be aligned to an element. */
enum { NAS_FLOAT32 = 0, NAS_BFLOAT16 = 1, NAS_FLOAT16 = 2 };

/* Opaque. Holds e (K x d float32), m (K x d float32), n (K float64) and the dead-code counters
 * (K int32), in memory of the library. */
typedef struct nas_codebook nas_codebook;

/* ---------------------------------------------------------------- the library */

NAS_API int32_t nas_abi_version(void);

/* The calling thread's last failure, or "" ; valid until its next call into the library. UTF-8. */
NAS_API const char *nas_last_error(void);

/* Writes one line such as "cpu avx512, 2 threads" or "cuda NVIDIA H200 sm_90, driver 13.0, lookup in float32" into
 * buffer (NUL-terminated, cut at capacity). capacity >= 1. */
NAS_API nas_status nas_describe(char *buffer, int64_t capacity);

/* Host library: the highest NAS_CPU_TIER_... that this machine can run, by CPUID and XGETBV.
 * CUDA library: the highest NAS_CUDA_TIER_... that the current device has. */
NAS_API int32_t nas_best_tier(void);

/* 1 where the host library has this tier and the machine can run it, or where the current device can run
 * the CUDA library's; else 0. */
NAS_API int32_t nas_has_tier(int32_t tier);

/* The tier in use, at first the host library's best one and the CUDA library's NAS_CUDA_TIER_SCALAR (the
 * others have not been verified on a device). nas_set_tier refuses one that nas_has_tier() denies.
 * Process-wide; takes effect for calls that begin later. No result depends on it. */
NAS_API int32_t nas_tier(void);
NAS_API nas_status nas_set_tier(int32_t tier);

/* Threads that one call may use, the caller's included; at first the number of processors
 * available. 1..NAS_MAX_THREADS. Process-wide. No result depends on it. The CUDA library ignores it. */
NAS_API int32_t nas_threads(void);
NAS_API nas_status nas_set_threads(int32_t threads);

/* The structs of this file as the library was compiled with them, for bindings to compare theirs with:
 * writes a line for each, its name, its size in bytes, and name@offset:size of each field, separated by
 * spaces, into buffer (NUL-terminated). A capacity too small is NAS_INVALID_ARGUMENT. 4096 is enough. */
NAS_API nas_status nas_layouts(char *buffer, int64_t capacity);

/* ---------------------------------------------------------------- codebook */

/* Creates a codebook from K x d float32 codewords in memory of the library: e = m = codewords, n = 1,
 * dead-code counters 0. 1 <= K <= NAS_MAX_CODEWORDS, 1 <= d <= NAS_MAX_WIDTH. A non-finite codeword is
 * NAS_NON_FINITE and its index is written to *bad_row (else -1). bad_row may be NULL; host memory.
 * CUDA library: the codebook lives on the device that `codewords` is memory of, and all that later calls
 * are given must be memory of that device; for managed memory it is the thread's current device. */
NAS_API nas_status nas_codebook_create(const float *codewords, int64_t K, int64_t d, int64_t *bad_row,
                                       void *stream, nas_codebook **codebook);

/* Frees the codebook. NULL is allowed and does nothing. */
NAS_API nas_status nas_codebook_close(nas_codebook *codebook);

NAS_API nas_status nas_codebook_shape(const nas_codebook *codebook, int64_t *K, int64_t *d);

/* Copies state out (read) or in (write), memory of the library on both sides: codewords K x d, n K,
 * m K x d, dead_steps K. Any pointer may be NULL and is left out. Write refuses non-finite values and
 * negative n, as NAS_NON_FINITE / NAS_INVALID_ARGUMENT, and leaves the codebook as it was. */
NAS_API nas_status nas_codebook_read(const nas_codebook *codebook, float *codewords, double *n, float *m,
                                     int32_t *dead_steps, void *stream);
NAS_API nas_status nas_codebook_write(nas_codebook *codebook, const float *codewords, const double *n,
                                      const float *m, const int32_t *dead_steps, void *stream);

/* Where the codebook's state lies, in memory of the library, for kernels and bindings to read without a
 * copy: codewords K x d, n K, dead_steps K. Any pointer may be NULL and is left out. The addresses follow
 * every change and hold until nas_codebook_close; before the first nas_codebook_reserve, from which on the
 * state stays where it is, the call is NAS_INVALID_ARGUMENT. Nothing may be written there. Reads are
 * ordered after changes, and changes after reads, by the caller; a failed change leaves what can be seen
 * as it was. */
NAS_API nas_status nas_codebook_view(const nas_codebook *codebook, const float **codewords,
                                     const double **n, const int32_t **dead_steps);

/* ---------------------------------------------------------------- nearest codeword */

/* What a lookup did; of no influence on its results. Summed over its rows, for tests and benchmarks to
 * see that a fast path was taken. */
typedef struct {
  int32_t tier;            /* NAS_CPU_TIER_... or NAS_CUDA_TIER_... in use */
  int32_t reserved;        /* 0 */
  int64_t rows_int8;       /* rows whose candidates int8 screening found */
  int64_t rows_float32;    /* rows whose candidates float32 screening found */
  int64_t rows_scanned;    /* rows compared with every codeword, or all of a group, in float64 */
  int64_t candidates;      /* codewords that screening left, over the rows that were not scanned */
  int64_t distances;       /* float64 distances computed for them, where float32 ones did not rule them out */
  int64_t rows_float64;    /* rows decided by float64 distances: scanned, with two or more, or looked
                            * up in groups of codewords */
  int64_t packing_ns;      /* time spent packing codewords that had changed, in nanoseconds */
} nas_lookup_stats;

/* indices[i] = argmin_j D(x_i, e_j), the lowest j on ties; distances[i] = (float)D(x_i, e_index)
 * (infinity where that is above the largest float32). `type` is an element type; row i of x starts at
 * element i*row_stride, row_stride >= d; x is aligned to its elements. rows may be 0. distances and
 * stats may be NULL; stats is host memory. A row with a NaN or an infinity is NAS_NON_FINITE: the
 * lowest such row goes to *bad_row (host memory; may be NULL; -1 otherwise) and the outputs are
 * unspecified.
 *
 * The host library packs the codewords for screening when the first lookup, or neighbour lists, after
 * a change asks for it; lookups that run at the same time wait for that. In the CUDA library's stats
 * rows_float32 is all rows, and what it does not count is -1. */
NAS_API nas_status nas_lookup(const nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                              int64_t row_stride, int32_t *indices, float *distances,
                              int64_t *bad_row, nas_lookup_stats *stats, void *stream);

/* ---------------------------------------------------------------- momentum update
 * Exponential moving average of van den Oord et al. (arXiv 1711.00937, appendix A.1), as used for a
 * visual dictionary by SOHO (arXiv 2104.03135), with Laplace-smoothed counts. */

/* Adds to counts (K float64) and sums (K x d float64), both in memory of the library, in this order:
 * for rows i = 0..rows-1 ascending, z = codes[i]: counts[z] += 1, sums[z][t] += (double)x[i][t].
 * x holds rows of elements of `type`; row i starts at element i*row_stride, row_stride >= d. Splitting
 * the rows over several calls in order gives the same bits. A code outside 0..K-1 is
 * NAS_INVALID_ARGUMENT, a non-finite row NAS_NON_FINITE; in both cases *bad_row (may be NULL, host
 * memory; -1 otherwise) gets the lowest such row and nothing is added. */
NAS_API nas_status nas_accumulate(const nas_codebook *codebook, const void *x, int32_t type,
                                  int64_t rows, int64_t row_stride, const int32_t *codes,
                                  double *counts, double *sums, int64_t *bad_row, void *stream);

/* One update step from counts and sums (memory of the library), all in float64, for every j:
 *   n_j = gamma*n_j + (1-gamma)*counts_j
 *   m_j = (float)(gamma*(double)m_j + (1-gamma)*sums_j)
 *   S   = the sum of all n_j;  h_j = (n_j + epsilon) / (S + K*epsilon) * S
 *   e_j = (float)((double)m_j / h_j)
 *   dead_steps_j = n_j < dead_threshold ? dead_steps_j + 1 (saturating) : 0
 * S is summed in 256 lanes: lane l adds n_l, n_(l+256), ... ascending, from 0; then lane l adds lane l + h,
 * for h = 128, 64, ..., 1; S is lane 0.
 * 0 <= gamma < 1, epsilon > 0, dead_threshold >= 0. If a new codeword would not be finite, the call
 * is NAS_NON_FINITE and the codebook stays as it was. */
NAS_API nas_status nas_apply(nas_codebook *codebook, const double *counts, const double *sums,
                             double gamma, double epsilon, double dead_threshold, void *stream);

/* One update step from a batch: the bits of nas_accumulate into zeroed counts and sums followed by
 * nas_apply, with the failures of both. *bad_row (may be NULL, host memory) is as in nas_accumulate, and
 * -1 where a new codeword would not be finite. On any failure the codebook stays as it was. */
NAS_API nas_status nas_update(nas_codebook *codebook, const void *x, int32_t type, int64_t rows,
                              int64_t row_stride, const int32_t *codes, double gamma, double epsilon,
                              double dead_threshold, int64_t *bad_row, void *stream);

/* Restarts `count` codes (codes and vectors in memory of the library; vectors count x d): e_j = m_j =
 * vector, n_j = 1, dead_steps_j = 0. If a code is named twice the later one wins. */
NAS_API nas_status nas_restart(nas_codebook *codebook, const int32_t *codes, const float *vectors,
                               int64_t count, void *stream);

/* ---------------------------------------------------------------- neighbour lists */

/* For every code j the R codes nearest to e_j among the live codes other than j, ascending by
 * (D(e_j, e_l), l): out[j*R + r] for r = 0..R-1, -1 where there are fewer. live has K bytes, non-zero
 * for a live code, or is NULL: all are live. Dead codes get a list too. 1 <= R <= NAS_MAX_NEIGHBOURS.
 *
 * Where 16 R <= min(K, d), the host library keeps what makes the next lists of the same R cheaper, in up to
 * 9*K*d bytes, until the codebook is closed; of calls at the same time one uses it. */
NAS_API nas_status nas_neighbours(const nas_codebook *codebook, int64_t R, const uint8_t *live,
                                  int32_t *out, void *stream);

/* ---------------------------------------------------------------- token swap */

/* Hard negative images, by swapping tokens through the dictionary: which tokens are chosen, what comes
 * in their place, and how it is written, each by a rule of its own (NAS, arXiv 2412.10029; the rules by
 * evidence pursue the words that a hard negative caption exchanges). */

enum { NAS_CHOOSE_RELEVANCE = 0, NAS_CHOOSE_GAIN = 1 };        /* which tokens */
enum { NAS_SUBSTITUTE_DRAW = 0, NAS_SUBSTITUTE_EVIDENCE = 1 }; /* what comes in their place */
enum { NAS_WRITE_CODEWORD = 0, NAS_WRITE_RESIDUAL = 1 };       /* how it is written */

/* What a note "by ..." follows is read where that is asked for alone, and pointers may be NULL elsewhere.
 * By relevance: NAS_CHOOSE_RELEVANCE. By evidence: NAS_CHOOSE_GAIN or NAS_SUBSTITUTE_EVIDENCE. By draws:
 * NAS_SUBSTITUTE_DRAW or donors. */
typedef struct {
  int64_t images;        /* B */
  int64_t tokens;        /* N */
  int64_t chosen;        /* M, 1 <= M <= N: how many tokens of each image are chosen, at most */
  int64_t neighbours;    /* R, width of the neighbour lists */
  int64_t evidence_rows; /* E, at least 0; by evidence */
  double text_weight;    /* lambda in 0..1; by relevance */
  uint64_t seed;
  uint32_t step;
  int32_t choose;        /* NAS_CHOOSE_... */
  int32_t substitute;    /* NAS_SUBSTITUTE_... */
  int32_t sign;          /* 1: most evidence is wanted, -1: least; by NAS_SUBSTITUTE_EVIDENCE */
  int32_t write;         /* NAS_WRITE_... */
  int32_t donors;        /* 0 or 1: tokens of other images where there are any */
} nas_swap_params;

/* Memory of the library. */
typedef struct {
  const float *text;              /* B x N: cosines to the caption's class token; by relevance */
  const float *image;             /* B x N: cosines to the image's class token; by relevance */
  const double *evidence;         /* E x K: how much a code speaks for the word put in, against the one
                                   * taken out; by evidence, if E is not 0 */
  const int32_t *evidence_of;     /* B: each image's row of evidence, or -1: it has none; by evidence */
  const float *tokens;            /* B x N x d */
  const int32_t *codes;           /* B x N, in 0..K-1 */
  const int32_t *neighbour_lists; /* K x R, in -1..K-1, as nas_neighbours writes them */
  const int64_t *sample_ids;      /* B; by draws */
} nas_swap_input;

/* Memory of the library. */
typedef struct {
  int32_t *positions;   /* B x M: the chosen positions in the order that they were chosen in, then -1 */
  int32_t *substitutes; /* B x M: the codes that came in their place, -1 where a token stayed */
  float *swapped;       /* B x N x d; may equal tokens unless there are donors */
  double *scores;       /* B x N: what tokens were chosen by; may be NULL */
  uint8_t *mask;        /* B x N: 1 where a token was replaced, else 0; may be NULL */
} nas_swap_output;

/* For each image b, with z_i = codes[b][i]:
 *
 * NAS_CHOOSE_RELEVANCE: score_i = lambda*minmax(text_i) + (1-lambda)*minmax(image_i) in float64, with
 *   minmax(s)_i = (s_i - min s) / (max s - min s), or 0 for all i if max s = min s. No score is -0. The M
 *   positions of highest score are chosen, by (score descending, position ascending).
 *
 * NAS_CHOOSE_GAIN, in float64, with v = evidence[evidence_of[b]]: best_i is the entry l >= 0 of
 *   neighbour_lists[z_i] of greatest v_l, the first of equals, if that v_l > v_{z_i}. score_i is the gain
 *   v_{best_i} - v_{z_i}, or 0 without a best_i. Of the positions with a best_i, M or as many as there are
 *   are chosen, by (score descending, position ascending). Let s be 0 plus v_{z_i} for i ascending, plus
 *   score_i of the chosen positions in that order: if s <= 0 no token of the image is replaced (its
 *   substitutes are -1), since its codes would still speak for the word taken out. Whether that is so does
 *   not depend on the other rules.
 *
 * NAS_SUBSTITUTE_DRAW: for every distinct code z at a chosen position the candidates are
 *   neighbour_lists[z] in order, less -1 entries and less all codes that occur anywhere in codes[b]. With n
 *   candidates, the one at index floor(draw*n / 2^64) is the substitute of all chosen positions with code
 *   z; the draw's counter uses sample_ids[b] and the lowest chosen position with code z. Without a
 *   candidate the token stays as it is.
 *
 * NAS_SUBSTITUTE_EVIDENCE: at a chosen position i the substitute is the entry l >= 0 of
 *   neighbour_lists[z_i] of greatest sign*v_l, the first of equals, whether or not the image has it
 *   already. Without an entry the token stays as it is. With NAS_CHOOSE_GAIN and sign 1 that is best_i.
 *
 * An image without evidence, by evidence: no token is chosen, its positions and substitutes are -1, its
 *   scores 0.
 *
 * swapped[b] = tokens[b] bit for bit, except at chosen positions i with a substitute z':
 *   donors 1, and z' occurs in another image's codes: the token there. Of n such tokens in the order of
 *     the batch it is the one at index floor(draw*n / 2^64); the draw's counter uses sample_ids[b] and
 *     2^24 + i.
 *   Else NAS_WRITE_CODEWORD: e_{z'}.
 *   Else NAS_WRITE_RESIDUAL: (tokens[b][i] - e_{z_i}) + e_{z'} in float32, rounded after each operation.
 *
 * Non-finite similarities or evidence of an image are NAS_NON_FINITE, with the lowest such image in
 * *bad_row (host memory; may be NULL; -1 otherwise); rows of evidence that no image has are not read. A
 * code, a neighbour or a row of evidence out of range is NAS_INVALID_ARGUMENT. Tokens are not inspected.
 * The outputs are unspecified after both, except that tokens swapped in place are as they were. The three
 * structs are host memory and read before the call returns. */
NAS_API nas_status nas_swap(const nas_codebook *codebook, const nas_swap_params *params,
                            const nas_swap_input *input, const nas_swap_output *output,
                            int64_t *bad_row, void *stream);

/* ---------------------------------------------------------------- streams and CUDA graphs
 * nas_lookup_enqueue, nas_update_enqueue and nas_swap_enqueue do what their namesakes do, to the same
 * bits, but neither wait for the stream nor allocate: all that they do is put in stream order, the
 * verdict on the input included. The host library runs them before it returns, and allocates as their
 * namesakes do.
 *
 * They work in one workspace, which the codebook owns and nas_codebook_reserve makes. So the calls on a
 * codebook must be ordered: on one stream, or on several with events between them. Other functions that
 * change the codebook or read it must be ordered after an nas_update_enqueue by the caller too.
 *
 * Graphs. Between cudaStreamBeginCapture and cudaStreamEndCapture these three, nas_neighbours (which has
 * no verdict, and neither waits nor allocates) and nas_codebook_read may be called, on a stream other
 * than the legacy default one; all others would end the capture. From the first nas_codebook_reserve on
 * the codebook's state stays where it is, whatever changes it, and the workspace does until an
 * nas_codebook_reserve that has to enlarge it. Until then, and until nas_codebook_close, a graph may be
 * replayed: it works on the codebook's state of the moment, and on what lies in the buffers that it was
 * captured with. The numbers, the instruction tier and the structs of a swap are those of the capture, so
 * that a replayed swap draws with the same seed and step, and with what sample_ids holds. */

/* On the input of an enqueued call: what its namesake would return and write to *bad_row. */
typedef struct {
  int64_t status;  /* NAS_OK, NAS_INVALID_ARGUMENT (a code, neighbour or row of evidence out of
                    * range) or NAS_NON_FINITE */
  int64_t bad_row; /* the row, or the image of a swap; -1 where the namesake writes that */
} nas_verdict;

/* Makes the workspace large enough for lookups and updates of up to `rows` rows and for swaps of up to
 * `images` images of up to `tokens` tokens, each at least 0, in any tier. `type`: NAS_FLOAT32, or a
 * narrower type if rows of either of the narrower ones are to come as well. Does not shrink: what
 * several calls reserved holds together. Waits for the device if it has to enlarge the workspace, and
 * must not be captured. On failure what was reserved before still is. */
NAS_API nas_status nas_codebook_reserve(nas_codebook *codebook, int64_t rows, int32_t type,
                                        int64_t images, int64_t tokens);

/* The bytes of the library's memory that the codebook holds: its state, with the copy that changes are
 * prepared in, and what calls work in, with what is kept for the next ones. Neither may be NULL; host
 * memory. */
NAS_API nas_status nas_codebook_workspace(const nas_codebook *codebook, int64_t *state_bytes,
                                          int64_t *workspace_bytes);

/* Each is its namesake, without what is written to host memory. A failure is one of the arguments
 * that can be seen without waiting, and nothing is enqueued then; a call beyond what was reserved is
 * NAS_INVALID_ARGUMENT. What is wrong with the input is in *verdict (memory of the library, 8-byte
 * aligned), which is written by every call that returns NAS_OK, rows = 0 included. With a verdict other
 * than NAS_OK the outputs of a lookup or swap are unspecified, except that tokens swapped in place are
 * as they were; and an update leaves the codebook as it was. */
NAS_API nas_status nas_lookup_enqueue(nas_codebook *codebook, const void *x, int32_t type,
                                      int64_t rows, int64_t row_stride, int32_t *indices,
                                      float *distances, nas_verdict *verdict, void *stream);
NAS_API nas_status nas_update_enqueue(nas_codebook *codebook, const void *x, int32_t type,
                                      int64_t rows, int64_t row_stride, const int32_t *codes,
                                      double gamma, double epsilon, double dead_threshold,
                                      nas_verdict *verdict, void *stream);
NAS_API nas_status nas_swap_enqueue(nas_codebook *codebook, const nas_swap_params *params,
                                    const nas_swap_input *input, const nas_swap_output *output,
                                    nas_verdict *verdict, void *stream);

/* ---------------------------------------------------------------- randomness, for tests and callers */

/* The four output words of Philox4x32-10. */
NAS_API void nas_philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

#ifdef __cplusplus
}
#endif

#endif
