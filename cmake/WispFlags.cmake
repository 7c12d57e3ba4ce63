# Compiler flags of the whole build: C11, every warning, no fast-math (ABI-16).
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_C_FLAGS_RELEASE "-O3 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g -DNDEBUG")

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-fno-math-errno -fno-trapping-math -ffp-contract=off)

set(WISP_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wpointer-arith -Wwrite-strings
    -Wcast-qual -Wformat=2)
set(WISP_C_WARNINGS ${WISP_WARNINGS} -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wvla)
add_compile_options("$<$<COMPILE_LANGUAGE:C>:${WISP_C_WARNINGS}>"
                    "$<$<COMPILE_LANGUAGE:CXX>:${WISP_WARNINGS}>")
if(WISP_WERROR)
  add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-Werror>)
endif()
if(WISP_SANITIZE)
  add_compile_options(-fsanitize=${WISP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WISP_SANITIZE})
endif()

# Fuzzers are guided by the coverage of all that they call, not of their own file alone.
option(WISP_FUZZ "Build libFuzzer executables (clang)" OFF)
if(WISP_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
