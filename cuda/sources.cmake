# What the device's build and the emulation's have in common.
set(nas_cuda_sources codebook.cu enqueue.cu library.cu lookup.cu neighbours.cu swap.cu update.cu)

# The selfcheck's checks, each a file and, on each side that is compared, a CTest entry; those whose code
# depends on the CUDA library's tier are made in every tier.
set(nas_checks arguments codebook lookup update neighbours swap enqueue graph)
set(nas_checks_of_tiers lookup neighbours enqueue graph)
set(nas_selfcheck_sources bench input libraries main report steps ${nas_checks})
list(TRANSFORM nas_selfcheck_sources PREPEND ${CMAKE_CURRENT_LIST_DIR}/selfcheck/)
list(TRANSFORM nas_selfcheck_sources APPEND .cpp)
