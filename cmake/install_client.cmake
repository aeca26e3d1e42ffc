# `cmake --install BUILD --component client`: the client library for programs outside of this tree (docs/clients-cpp.md).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(client_headers ${CMAKE_INSTALL_INCLUDEDIR}/counterfoil)
set(client_package ${CMAKE_INSTALL_LIBDIR}/cmake/counterfoil)
foreach(part client crypto)
  set_target_properties(counterfoil_${part} PROPERTIES EXPORT_NAME ${part})
  target_compile_features(counterfoil_${part} PUBLIC cxx_std_20)
  target_include_directories(counterfoil_${part} INTERFACE $<INSTALL_INTERFACE:${client_headers}>)
endforeach()

install(TARGETS counterfoil_client counterfoil_crypto EXPORT counterfoil
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT client)
install(DIRECTORY clients/cpp DESTINATION ${client_headers}/clients COMPONENT client FILES_MATCHING PATTERN "*.h")
install(FILES ledger/crypto/wiping.h DESTINATION ${client_headers}/ledger/crypto COMPONENT client)
install(EXPORT counterfoil NAMESPACE counterfoil:: FILE counterfoilTargets.cmake DESTINATION ${client_package} COMPONENT client)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/counterfoilConfig.cmake.in ${CMAKE_BINARY_DIR}/counterfoilConfig.cmake
  INSTALL_DESTINATION ${client_package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/counterfoilConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/counterfoilConfig.cmake ${CMAKE_BINARY_DIR}/counterfoilConfigVersion.cmake
  DESTINATION ${client_package} COMPONENT client)
