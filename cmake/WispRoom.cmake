# wisp_room(NAME USES room... LINK library...)
# One room of core/ as an object library. It is given the public headers, its own folder and the
# folders of the rooms it may use, so a forbidden include does not compile. Files are found by
# being there.
set_property(GLOBAL PROPERTY WISP_ROOMS "")
set_property(GLOBAL PROPERTY WISP_ROOM_LIBRARIES "")

# Files named for an instruction set are compiled for it; what they hold is called where the
# processor has it (core/base/cpu_level.h).
function(wisp_vector_sources)
  foreach(file ${ARGN})
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
      if(file MATCHES "_avx2\\.c$")
        set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "-mavx2")
      elseif(file MATCHES "_avx512\\.c$")
        set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
          "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vbmi;-mavx512vnni;-mprefer-vector-width=512")
      endif()
    endif()
  endforeach()
endfunction()

function(wisp_room name)
  cmake_parse_arguments(ROOM "" "" "USES;LINK" ${ARGN})
  set(folder ${PROJECT_SOURCE_DIR}/core/${name})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.c ${folder}/*.cpp)
  if(NOT sources)
    message(FATAL_ERROR "core/${name} holds no source file")
  endif()
  if(name STREQUAL "ops")
    include(WispOpList)
    list(APPEND sources ${WISP_OP_LIST_SOURCE})
  elseif(name STREQUAL "report")
    include(WispReportPage)
    list(APPEND sources ${WISP_REPORT_PAGE_SOURCE})
    include(WispTemplates)
    wisp_write_templates(${PROJECT_BINARY_DIR}/template_files.c)
    list(APPEND sources ${PROJECT_BINARY_DIR}/template_files.c)
  endif()
  wisp_vector_sources(${sources})
  add_library(wisp_${name} OBJECT ${sources})
  # Rooms are included as "room/file.h"; only the rooms named become visible.
  set(view ${PROJECT_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${view})
  foreach(room ${name} ${ROOM_USES})
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/core/${room} ${view}/${room} SYMBOLIC)
  endforeach()
  target_include_directories(wisp_${name} PRIVATE ${PROJECT_SOURCE_DIR}/core/include ${view})
  target_compile_definitions(wisp_${name} PRIVATE WISP_VERSION="${PROJECT_VERSION}"
    WISP_LIBDIR="${CMAKE_INSTALL_LIBDIR}")
  target_link_libraries(wisp_${name} PUBLIC ${ROOM_LINK})
  set_property(GLOBAL APPEND PROPERTY WISP_ROOMS wisp_${name})
  set_property(GLOBAL APPEND PROPERTY WISP_ROOM_LIBRARIES ${ROOM_LINK})
endfunction()

# All rooms in one archive, for programs that look inside: tests and benchmarks. They are given the
# libraries of the rooms too, and folders by whoever asks.
function(wisp_link_rooms target)
  get_property(libraries GLOBAL PROPERTY WISP_ROOM_LIBRARIES)
  if(NOT TARGET wisp_rooms)
    get_property(rooms GLOBAL PROPERTY WISP_ROOMS)
    add_library(wisp_rooms STATIC EXCLUDE_FROM_ALL)
    foreach(room ${rooms})
      target_sources(wisp_rooms PRIVATE $<TARGET_OBJECTS:${room}>)
    endforeach()
    set_target_properties(wisp_rooms PROPERTIES LINKER_LANGUAGE CXX)
  endif()
  target_link_libraries(${target} PRIVATE wisp_rooms ${libraries})
endfunction()
