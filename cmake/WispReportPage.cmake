# The parts of the report's page become constants of libwisp: core/report/page/*, and Chart.js from
# the Debian package libjs-chart.js. Sets WISP_REPORT_PAGE_SOURCE.
find_file(WISP_CHART_JS chart.min.js
  PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist NO_DEFAULT_PATH
  DOC "Chart.js 3, minified")
if(NOT WISP_CHART_JS)
  message(FATAL_ERROR "chart.min.js is not there: install the package libjs-chart.js, "
    "or say where Chart.js 3 is by -DWISP_CHART_JS=FILE")
endif()
set(page_folder ${PROJECT_SOURCE_DIR}/core/report/page)
file(GLOB page_scripts CONFIGURE_DEPENDS ${page_folder}/*.js)
set(WISP_REPORT_PAGE_SOURCE ${PROJECT_BINARY_DIR}/report_page_files.c)
add_custom_command(OUTPUT ${WISP_REPORT_PAGE_SOURCE}
  COMMAND ${CMAKE_COMMAND} -DPAGE=${page_folder} -DCHART=${WISP_CHART_JS}
    -DOUT=${WISP_REPORT_PAGE_SOURCE} -P ${PROJECT_SOURCE_DIR}/cmake/report_page_files.cmake
  DEPENDS ${PROJECT_SOURCE_DIR}/cmake/report_page_files.cmake ${WISP_CHART_JS} ${page_scripts}
    ${page_folder}/page.html ${page_folder}/page.css
  COMMENT "The files of the report's page" VERBATIM)
