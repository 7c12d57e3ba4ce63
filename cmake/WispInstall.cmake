# What `cmake --install build --prefix DIR` puts where. The tree may be moved afterwards.
include(CMakePackageConfigHelpers)
get_property(WISP_ABI_MAJOR GLOBAL PROPERTY WISP_ABI_MAJOR)
get_property(plugins GLOBAL PROPERTY WISP_PLUGINS)
get_property(plugin_programs GLOBAL PROPERTY WISP_PLUGIN_PROGRAMS)
set(plugin_folder ${CMAKE_INSTALL_LIBDIR}/wisp/${WISP_ABI_MAJOR})
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/wisp)

install(TARGETS wisp RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS libwisp wisp_headers EXPORT wispTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(plugins)
  install(TARGETS ${plugins} LIBRARY DESTINATION ${plugin_folder})
endif()
if(plugin_programs) # which plugins start, and look for beside themselves
  install(TARGETS ${plugin_programs} RUNTIME DESTINATION ${plugin_folder})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/core/include/wisp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# What is read: documents, with the links between them, experiments, the example.
set(doc_folder ${CMAKE_INSTALL_DATADIR}/doc/wisp)
install(FILES LICENSE README.md CHANGELOG.md CONTRIBUTING.md DESTINATION ${doc_folder})
install(DIRECTORY docs DESTINATION ${doc_folder} FILES_MATCHING PATTERN "*.md" PATTERN "*.png")
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/wisp PATTERN README.md EXCLUDE)
install(DIRECTORY examples/plugin DESTINATION ${doc_folder}/examples)
foreach(page configs/README.md plugins/backends/cpu/README.md tests/softgpu/README.md)
  get_filename_component(folder ${page} DIRECTORY)
  install(FILES ${page} DESTINATION ${doc_folder}/${folder})
endforeach()
# They point at headers as well, which lie elsewhere here.
file(RELATIVE_PATH headers /${doc_folder}/core/include /${CMAKE_INSTALL_INCLUDEDIR}/wisp)
install(CODE "set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${doc_folder}/core/include\")
file(MAKE_DIRECTORY \"\${folder}\")
file(CREATE_LINK ${headers} \"\${folder}/wisp\" SYMBOLIC)")

# For CMake: find_package(wisp) gives wisp::headers, wisp::wisp and wisp_add_plugin().
install(EXPORT wispTargets NAMESPACE wisp:: DESTINATION ${package_folder})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/wispConfig.cmake.in
  ${PROJECT_BINARY_DIR}/wispConfig.cmake INSTALL_DESTINATION ${package_folder}
  PATH_VARS plugin_folder)
# The version that find_package(wisp 0.1) asks for is the plugin interface's, by the rule of ABI-3: the
# release is never compared.
get_property(WISP_ABI_MINOR GLOBAL PROPERTY WISP_ABI_MINOR)
set(same SameMajorVersion)
if(WISP_ABI_MAJOR EQUAL 0)
  set(same SameMinorVersion)
endif()
write_basic_package_version_file(${PROJECT_BINARY_DIR}/wispConfigVersion.cmake
  VERSION ${WISP_ABI_MAJOR}.${WISP_ABI_MINOR} COMPATIBILITY ${same})
install(FILES ${PROJECT_BINARY_DIR}/wispConfig.cmake ${PROJECT_BINARY_DIR}/wispConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/WispPlugin.cmake DESTINATION ${package_folder})

# For everything else: pkg-config.
file(RELATIVE_PATH WISP_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" WISP_PC_PREFIX "${WISP_PC_PREFIX}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/wisp.pc.in ${PROJECT_BINARY_DIR}/wisp.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/wisp.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
