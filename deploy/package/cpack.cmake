# The packages that `cpack` makes in a build folder: archives, and Debian's penstock (programs), libpenstock0 (the client's
# library) and libpenstock-dev. Version and description are the project's; what a package needs, dpkg-shlibdeps finds out.
set(CPACK_PACKAGE_NAME penstock)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "parameter server for distributed training")
set(CPACK_PACKAGE_VENDOR Penstock)
set(CPACK_PACKAGE_CONTACT "${PENSTOCK_MAINTAINER}")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGE_INSTALL_DIRECTORY penstock)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_GENERATOR DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL programs library development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
# Folders as Debian wants them, whatever the umask of whoever builds.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(library_package libpenstock${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME penstock)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION science)
# What `penstock fetch-mnist` downloads with.
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_RECOMMENDS "curl | wget, ca-certificates")
set(CPACK_COMPONENT_PROGRAMS_DESCRIPTION
"Parameter servers (penstock-ps) hold shards of a model, workers
(penstock-worker) compute gradients, push them and pull fresh weights.
Synchronous training gives the same bits run after run, whatever fails
meanwhile. penstock runs a cluster on this host, shows how a training goes,
and handles checkpoints and models.")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${library_package})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
# CPack's own would be looked for in programs, too, and find the library that `penstock chaos' preloads.
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/shlibs
  "libpenstock ${PROJECT_VERSION_MAJOR} ${library_package} (= ${PROJECT_VERSION})\n")
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_BINARY_DIR}/shlibs ${CMAKE_CURRENT_BINARY_DIR}/triggers)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
"The library with which programs of others push gradients to Penstock's
parameter servers and pull weights.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libpenstock-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${library_package} (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
"What programs of others are built with: headers (penstock/worker/client.h),
the file for pkg-config, and the package for CMake's find_package.")

include(CPack)
