# Two kinds of include directories stop CMake where ROS 2 or NumPy come from wheels. Both are put
# right after the whole project is configured; on a system installation nothing changes.

# Message packages from wheels export directories of the machine that built them, and CMake refuses
# one that does not exist.
function(drop_missing_include_directories)
  get_property(targets DIRECTORY "${PROJECT_SOURCE_DIR}" PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT directories)
      continue()
    endif()
    set(existing "")
    foreach(directory IN LISTS directories)
      # A generator expression cannot be judged here.
      if(directory MATCHES "^\\$<" OR EXISTS "${directory}")
        list(APPEND existing "${directory}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${existing}")
  endforeach()
endfunction()

# With a virtual environment inside the checkout, NumPy's headers lie in the source directory, and
# CMake refuses to export such a path. Nobody compiles against the Python bindings: keep it here.
function(keep_numpy_out_of_the_export)
  set(target ${PROJECT_NAME}__rosidl_generator_py)
  get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
  list(TRANSFORM directories REPLACE "^(${PROJECT_SOURCE_DIR}/.*)$" "$<BUILD_INTERFACE:\\1>")
  set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directories}")
endfunction()

cmake_language(DEFER DIRECTORY "${PROJECT_SOURCE_DIR}" CALL drop_missing_include_directories)
cmake_language(DEFER DIRECTORY "${PROJECT_SOURCE_DIR}" CALL keep_numpy_out_of_the_export)
