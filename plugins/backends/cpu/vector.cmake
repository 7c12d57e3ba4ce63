# The own vector kernels, compiled once for each instruction set; cpu_vector.c chooses one.
file(GLOB cpu_vector_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/vector/*.c)

function(cpu_vector_variant name)
  add_library(cpu_vector_${name} OBJECT ${cpu_vector_sources})
  target_include_directories(cpu_vector_${name} PRIVATE ${PROJECT_SOURCE_DIR}/core/include
    ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_definitions(cpu_vector_${name} PRIVATE CPU_VARIANT=${name})
  # A product and a sum may become one instruction: faster, and one rounding less.
  target_compile_options(cpu_vector_${name} PRIVATE -ffp-contract=fast ${ARGN})
  if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    # A loop that stays scalar is slow, not wrong.
    target_compile_options(cpu_vector_${name} PRIVATE -Wno-pass-failed)
  endif()
  target_link_libraries(cpu_vector_${name} PRIVATE OpenMP::OpenMP_C)
  target_sources(wisp-backend-cpu PRIVATE $<TARGET_OBJECTS:cpu_vector_${name}>)
endfunction()

cpu_vector_variant(base)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  cpu_vector_variant(avx2 -mavx2 -mfma)
  cpu_vector_variant(avx512 -mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl
    -mprefer-vector-width=512)
  target_compile_definitions(wisp-backend-cpu PRIVATE CPU_HAS_X86_VARIANTS)
endif()
