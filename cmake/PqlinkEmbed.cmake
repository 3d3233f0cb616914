# Files of the source tree as C arrays.  Included, it defines pqi_embed; run as a script
# (cmake -DFILE=.. -DNAME=.. -DOUTPUT=.. -P), it writes one array.

if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${FILE} bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR len "${digits} / 2")
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "((0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,)(0x..,))" "\\1\n" bytes "${bytes}")
  file(WRITE ${OUTPUT} "#include <stddef.h>\n#include <stdint.h>\n\nextern const uint8_t ${NAME}[];\n"
    "extern const size_t ${NAME}_len;\nconst uint8_t ${NAME}[] = {\n${bytes}\n};\nconst size_t ${NAME}_len = ${len};\n")
  return()
endif()

set(PQI_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

# pqi_embed(SOURCES_VARIABLE FILE...)
# Appends to SOURCES_VARIABLE one generated source for each FILE of the current directory.  dir/ml-dsa-44.sig becomes
# the array pqi_ml_dsa_44_sig and its length pqi_ml_dsa_44_sig_len.
function(pqi_embed sources)
  set(made ${${sources}})
  foreach(file IN LISTS ARGN)
    get_filename_component(base ${file} NAME)
    string(MAKE_C_IDENTIFIER "pqi_${base}" name)
    set(input ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    set(output ${CMAKE_CURRENT_BINARY_DIR}/${base}.c)
    add_custom_command(OUTPUT ${output} DEPENDS ${input} ${PQI_EMBED_SCRIPT} VERBATIM
      COMMAND ${CMAKE_COMMAND} -DFILE=${input} -DNAME=${name} -DOUTPUT=${output} -P ${PQI_EMBED_SCRIPT})
    list(APPEND made ${output})
  endforeach()
  set(${sources} ${made} PARENT_SCOPE)
endfunction()
