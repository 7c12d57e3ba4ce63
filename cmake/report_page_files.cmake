# cmake -DPAGE=FOLDER -DCHART=FILE -DOUT=FILE -P: writes the C file of WispReportPage.cmake, which has the
# assembler read the bytes: as numbers they would take a compiler seconds. All of
# the page's scripts become one, inside a function, so that they share names with nobody.

# The hash of a file as a Content-Security-Policy wants it, in base64.
function(policy_hash file out)
  set(digits ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/)
  file(SHA256 ${file} hex)
  set(text "")
  foreach(at RANGE 0 60 6)
    string(SUBSTRING "${hex}00" ${at} 6 three) # 32 bytes: the last group lacks one
    foreach(shift 18 12 6 0)
      math(EXPR digit "(0x${three} >> ${shift}) & 63")
      string(SUBSTRING ${digits} ${digit} 1 letter)
      string(APPEND text ${letter})
    endforeach()
  endforeach()
  string(REGEX REPLACE "A$" "=" text ${text})
  set(${out} "'sha256-${text}'" PARENT_SCOPE)
endfunction()

function(append_constant name file)
  file(READ ${file} text)
  if(NOT name STREQUAL "template" AND text MATCHES "</(script|style)")
    message(FATAL_ERROR "${file} would end the element that it is put into: ${CMAKE_MATCH_0}")
  endif()
  policy_hash(${file} hash)
  file(SIZE ${file} n)
  file(APPEND ${OUT} "
__asm__(\".pushsection .rodata\\n\"
        \"wispi_page_${name}_bytes: .incbin \\\"${file}\\\"\\n\"
        \".popsection\\n\");
extern const unsigned char wispi_page_${name}_bytes[];
const wispi_page_file wispi_page_${name} = {wispi_page_${name}_bytes, ${n}, \"${hash}\"};
")
endfunction()

file(GLOB scripts ${PAGE}/*.js)
list(SORT scripts)
file(WRITE ${OUT}.js "(function () {\n'use strict';\n")
foreach(script ${scripts})
  file(READ ${script} text)
  file(APPEND ${OUT}.js "${text}")
endforeach()
file(APPEND ${OUT}.js "start();\n}());\n")

file(WRITE ${OUT} "/* Made by cmake/report_page_files.cmake from the files of core/report/page. */
#include \"report/page_files.h\"
")
append_constant(template ${PAGE}/page.html)
append_constant(style ${PAGE}/page.css)
append_constant(chart ${CHART})
append_constant(script ${OUT}.js)
