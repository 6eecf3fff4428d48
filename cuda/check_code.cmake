# Compiles the kernels that matter and looks at what became of them: the instructions that they are made for
# must be there, and they must not spill more registers than is known here.
#   cmake -DNVCC=... -DSOURCE=<this folder> -DINCLUDE=<include folder> -DWORK=<scratch folder> -P check_code.cmake
file(MAKE_DIRECTORY ${WORK})
set(failures 0)

# code(architecture source instruction...): the PTX of source.cu must hold each instruction. Sets `report` to
# ptxas' report.
function(code architecture source)
  set(options -std=c++17 -O3 -fmad=false -I${INCLUDE} -gencode
    arch=compute_${architecture},code=sm_${architecture} ${SOURCE}/${source}.cu)
  execute_process(COMMAND ${NVCC} ${options} --cubin -Xptxas=-v --keep --keep-dir ${WORK}
      -o ${WORK}/${source}_${architecture}.cubin
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "nvcc failed on ${source}.cu for sm_${architecture}:\n${output}")
  endif()
  if(output MATCHES "wgmma[^\n]*serialized")
    message(SEND_ERROR "sm_${architecture}: wgmma is serialized:\n${output}")
  endif()
  file(READ ${WORK}/${source}.ptx ptx)
  foreach(instruction ${ARGN})
    string(FIND "${ptx}" "${instruction}" found)
    if(found EQUAL -1)
      message(SEND_ERROR "sm_${architecture}: the PTX of ${source}.cu has no ${instruction}")
    endif()
  endforeach()
  set(report "${output}" PARENT_SCOPE)
endfunction()

# spills(architecture kernel most): the bytes of spill stores that the report names, the most of all instances
# of a template.
function(spills architecture kernel most)
  string(REGEX MATCHALL "properties for [^\n]*${kernel}[^\n]*\n[^\n]* [0-9]+ bytes spill stores" instances
    "${report}")
  if(NOT instances)
    message(SEND_ERROR "sm_${architecture}: the report names no ${kernel}")
  endif()
  set(found 0)
  foreach(instance IN LISTS instances)
    string(REGEX REPLACE ".* ([0-9]+) bytes spill stores" "\\1" bytes "${instance}")
    if(bytes GREATER found)
      set(found ${bytes})
    endif()
  endforeach()
  if(found GREATER most)
    message(SEND_ERROR "sm_${architecture}: ${kernel} spills ${found} bytes; it spilled ${most} at most")
  else()
    message(STATUS "sm_${architecture}: ${kernel} spills ${found} bytes")
  endif()
endfunction()

code(90a lookup wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 cp.async.bulk.shared::cluster
  mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32)
spills(90a lookup_hopper_kernel 0)
spills(90a lookup_tensor_kernel 36)
spills(90a lookup_screen_kernel 8)
code(80 lookup mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32)
spills(80 lookup_tensor_kernel 36)
spills(80 lookup_screen_kernel 12)
foreach(architecture 90a 80)
  code(${architecture} update cp.async.cg.shared.global)
  spills(${architecture} update_codewords_kernel 0)
  spills(${architecture} sum_runs_kernel 0)
  code(${architecture} swap ld.global.cs.v4.f32)
  spills(${architecture} swap_tokens_kernel 0)
  spills(${architecture} swap_choose_kernel 0)
  spills(${architecture} swap_donors_kernel 0)
  code(${architecture} neighbours mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32)
  spills(${architecture} neighbours_screen_kernel 0)
endforeach()
