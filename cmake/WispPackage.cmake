# `cpack -G DEB` in a build folder makes wisp_VERSION_ARCH.deb: command, library, plugins, headers and
# documents. The preset `package` configures for /usr, where a package's files belong.
set(WISP_PACKAGE_CONTACT "the wisp maintainers <maintainers@wisp.invalid>" CACHE STRING
  "Name and address in the package")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME wisp)
set(CPACK_PACKAGE_CONTACT "${WISP_PACKAGE_CONTACT}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "self-supervised pre-training of small vision networks")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"wisp trains small vision networks without labels. Data sets, view samplers,
backbones, methods, tasks and tensor backends are plugins, and one TOML file
is one experiment. The package has the command, the plugins, and all that is
needed to write a plugin in C: headers, a CMake package, pkg-config and
templates (wisp new).")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
  GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # plugins are looked at too
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# A compiler, make and pkg-config for plugins of one's own; mpirun for runs in several processes.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "gcc, libc6-dev, make, pkg-config, openmpi-bin")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "cmake")

# The library is a public one: whoever links it depends on this package, and ldconfig hears of it.
file(WRITE ${PROJECT_BINARY_DIR}/debian/shlibs "libwisp ${WISP_ABI_MAJOR} wisp (>= ${PROJECT_VERSION})\n")
file(WRITE ${PROJECT_BINARY_DIR}/debian/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/debian/shlibs
  ${PROJECT_BINARY_DIR}/debian/triggers)

# What Debian wants to find in share/doc. A package of this tree's own making has no other history than
# CHANGELOG.md.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  find_program(GZIP gzip REQUIRED)
  string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
  file(WRITE ${PROJECT_BINARY_DIR}/debian/changelog
"wisp (${PROJECT_VERSION}) unstable; urgency=medium

  * Version ${PROJECT_VERSION}: see CHANGELOG.md beside this file.

 -- ${WISP_PACKAGE_CONTACT}  ${date}
")
  file(WRITE ${PROJECT_BINARY_DIR}/debian/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: wisp

Files: *
Copyright: the authors of wisp
License: Apache-2.0
 On Debian systems, the full text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
")
  execute_process(COMMAND ${GZIP} -9nf ${PROJECT_BINARY_DIR}/debian/changelog COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${PROJECT_BINARY_DIR}/debian/changelog.gz ${PROJECT_BINARY_DIR}/debian/copyright
    DESTINATION ${doc_folder})
endif()
include(CPack)
