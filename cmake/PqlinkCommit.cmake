# Which commit is built.  Included, it defines pqi_commit_header; run as a script
# (cmake -DSOURCE=.. -DOUTPUT=.. -DCOMMIT=.. -P), it writes the header when its text changed.

if(CMAKE_SCRIPT_MODE_FILE)
  if(NOT COMMIT)
    execute_process(COMMAND git -C ${SOURCE} describe --always --abbrev=12 --exclude=* --dirty
      OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    if(failed OR NOT EXISTS ${SOURCE}/.git) # a tree within another repository is no commit of that one
      set(COMMIT unknown)
    endif()
  endif()
  file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define PQLINK_COMMIT \"${COMMIT}\"\n" @ONLY)
  return()
endif()

set(PQLINK_COMMIT "" CACHE STRING "The commit that is built, for trees without git; else git is asked")
set(PQI_COMMIT_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

# pqi_commit_header(TARGET): TARGET can include "pqlink_commit.h", which defines PQLINK_COMMIT.  Only main.c of the
# program does, so that a commit makes one file and one program anew.
function(pqi_commit_header target)
  set(directory ${CMAKE_CURRENT_BINARY_DIR}/generated)
  add_custom_target(${target}_commit BYPRODUCTS ${directory}/pqlink_commit.h VERBATIM
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DOUTPUT=${directory}/pqlink_commit.h
            -DCOMMIT=${PQLINK_COMMIT} -P ${PQI_COMMIT_SCRIPT})
  add_dependencies(${target} ${target}_commit)
  target_include_directories(${target} PRIVATE ${directory})
endfunction()
