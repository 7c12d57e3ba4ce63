# Puts the files of sdk/templates into a C source: what `wisp new` writes comes with the library, so it
# is there wherever the library is. A folder is a kind; every_kind holds what all kinds share.
function(wisp_write_templates output)
  set(folder ${PROJECT_SOURCE_DIR}/sdk/templates)
  file(GLOB files CONFIGURE_DEPENDS RELATIVE ${folder} ${folder}/*/*)
  list(SORT files)
  set(arrays "")
  set(entries "")
  set(n 0)
  foreach(file ${files})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folder}/${file})
    get_filename_component(kind ${file} DIRECTORY)
    get_filename_component(name ${file} NAME)
    file(READ ${folder}/${file} bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))" "\\1\n    " bytes "${bytes}")
    string(APPEND arrays "static const uint8_t file_${n}[] = {\n    ${bytes}};\n")
    string(APPEND entries "    {\"${kind}\", \"${name}\", file_${n}, sizeof file_${n}},\n")
    math(EXPR n "${n} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${output} CONTENT
"/* Made by cmake/WispTemplates.cmake from the files of sdk/templates. */
#include \"train/plugin_template.h\"

${arrays}
const wispi_template_file wispi_template_files[] = {
${entries}    {NULL, NULL, NULL, 0},
};
" @ONLY)
endfunction()
