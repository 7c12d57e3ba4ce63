# wisp_add_plugin(NAME name KIND kind SOURCES file... [LINK library...])
# A plugin as a loadable module wisp-<kind>-<name>.so that exports wisp_plugin_entry and nothing
# else (ABI-15). The same function serves plugins inside and outside the tree (ABI-18); there
# find_package(wisp) brings it.

# The public headers, for whoever includes nothing else.
if(NOT TARGET wisp::headers)
  add_library(wisp_headers INTERFACE)
  add_library(wisp::headers ALIAS wisp_headers)
  target_include_directories(wisp_headers INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/core/include> $<INSTALL_INTERFACE:include>)
  set_target_properties(wisp_headers PROPERTIES EXPORT_NAME headers)
endif()

# Merely opening a library that was linked with these flags changes how the host computes.
function(wisp_refuse_fast_math)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  set(flags "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${type}} ${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}"
    "${CMAKE_MODULE_LINKER_FLAGS}")
  if("${flags}" MATCHES "-ffast-math|-Ofast|-funsafe-math-optimizations")
    message(FATAL_ERROR "wisp plugins are not built with ${CMAKE_MATCH_0} (ABI-16)")
  endif()
endfunction()

# What would be built under a name that no host looks for, or without a part of what was asked for.
function(wisp_check_plugin)
  set(kinds backend dataset sampler backbone method task comm)
  if(NOT PLUGIN_NAME MATCHES "^[a-z0-9_]+$")
    message(FATAL_ERROR "wisp_add_plugin: NAME \"${PLUGIN_NAME}\": take small letters, digits and underscores")
  elseif(NOT PLUGIN_KIND IN_LIST kinds)
    list(JOIN kinds ", " kinds)
    message(FATAL_ERROR "wisp_add_plugin(${PLUGIN_NAME}): KIND \"${PLUGIN_KIND}\": kinds are ${kinds}")
  elseif(NOT PLUGIN_SOURCES)
    message(FATAL_ERROR "wisp_add_plugin(${PLUGIN_NAME}): SOURCES are missing")
  elseif(PLUGIN_UNPARSED_ARGUMENTS OR PLUGIN_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "wisp_add_plugin(${PLUGIN_NAME}): not understood: "
      "${PLUGIN_UNPARSED_ARGUMENTS} ${PLUGIN_KEYWORDS_MISSING_VALUES}")
  endif()
endfunction()

function(wisp_add_plugin)
  cmake_parse_arguments(PLUGIN "" "NAME;KIND" "SOURCES;LINK" ${ARGN})
  wisp_check_plugin()
  wisp_refuse_fast_math()
  set(target wisp-${PLUGIN_KIND}-${PLUGIN_NAME})
  add_library(${target} MODULE ${PLUGIN_SOURCES})
  set_target_properties(${target} PROPERTIES PREFIX "" C_STANDARD 11 C_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  if(WISP_PLUGIN_FOLDER)
    set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${WISP_PLUGIN_FOLDER})
  endif()
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:C,CXX>:-fno-math-errno -fno-trapping-math -ffp-contract=off>)
  target_link_libraries(${target} PRIVATE wisp::headers ${PLUGIN_LINK} m)
  set(exports ${CMAKE_CURRENT_BINARY_DIR}/${target}.map)
  file(CONFIGURE OUTPUT ${exports} CONTENT "{ global: wisp_plugin_entry; local: *; };\n" @ONLY)
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${exports})
  target_link_options(${target} PRIVATE -Wl,--version-script=${exports} -Wl,-z,now)
  if(NOT WISP_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
  set_property(GLOBAL APPEND PROPERTY WISP_PLUGINS ${target})
endfunction()
