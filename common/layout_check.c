/* Compiles nas_kernels.h, and the asserts on its layouts, as C11. */
#include "layout_asserts.h"

const int nas_layout_check = NAS_ABI_VERSION;
