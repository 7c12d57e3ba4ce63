# Makes the list of operations from the files of core/ops: every <op>.c defines
# `const wispi_op_family wispi_op_<op>`. Adding an operation is adding a file.
file(GLOB op_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/core/ops/*.c)
list(SORT op_files)
set(declarations "")
set(entries "")
foreach(file ${op_files})
  get_filename_component(op ${file} NAME_WE)
  string(APPEND declarations "extern const wispi_op_family wispi_op_${op};\n")
  string(APPEND entries "    &wispi_op_${op},\n")
endforeach()
set(WISP_OP_LIST_SOURCE ${PROJECT_BINARY_DIR}/op_list.c)
file(CONFIGURE OUTPUT ${WISP_OP_LIST_SOURCE} CONTENT
"/* Made by cmake/WispOpList.cmake from the files of core/ops. */
#include \"tensor/op.h\"

${declarations}
const wispi_op_family *const wispi_op_families[] = {
${entries}    NULL,
};
" @ONLY)
