// `counterfoil serve` as the benchmark's own child process: a scratch ledger, TLS 1.3 with a certificate made for it, free ports.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cmd/bench/scratch.h"

namespace counterfoil::cmd::bench {

// What a process holds and has used, as the kernel says.
struct ProcessUse {
  double cpuSeconds = 0;
  std::uint64_t residentBytes = 0;
  std::uint64_t descriptors = 0;
};
// Zeros for a process that has gone.
ProcessUse useOf(pid_t process);

// Owned by one thread, the one that starts the processes: they are killed when it ends.
class HttpServer {
 public:
  // Makes the ledger below `parent` and the certificate (with the program `openssl`), and starts the server. Its limits on rates are out of
  // reach; `settings` are more of them, "NAME=VALUE" with the names of configuration in capitals. Throws Fault: unreadableInput if a
  // folder, process or certificate cannot be made, else as start().
  explicit HttpServer(const std::filesystem::path& parent, std::vector<std::string> settings = {});
  // Kills the server, removes the folder.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // SIGTERM, and waits for the end. Throws Fault(internal) if the exit status is not 0.
  void stop();
  // SIGKILL, and waits for the end.
  void kill();
  // Sends a signal to the running server.
  void signal(int number) const;
  // Starts it again on the same folder; returns when it serves. Throws Fault(notReady) if it ends, or does not serve within ten minutes.
  void start();
  // After stop(): `verify` on the folder. True if it says ok.
  bool verifies() const;
  // After stop(): mean bytes of a stored record, without the first two of each workspace.
  double recordBytes() const;

  // A token of an owner of all workspaces, good for an hour.
  std::string token() const;
  ProcessUse use() const { return useOf(process_); }
  // A gauge or counter of the admin listener's /metrics, the sum over its labels. Zero if it is not there.
  double metric(const std::string& name) const;

  pid_t process() const { return process_; }
  std::uint16_t port() const { return port_; }
  std::filesystem::path data() const { return folder_.path() / "data"; }
  std::string certificate() const { return (folder_.path() / "certificate.pem").string(); }

 private:
  // Starts this program with these arguments, its outputs in `log`.
  pid_t startProgram(const std::vector<std::string>& arguments) const;
  int runProgram(const std::vector<std::string>& arguments) const;
  void makeCertificate() const;

  ScratchFolder folder_;
  std::vector<std::string> settings_;
  pid_t process_ = -1;
  std::uint16_t port_ = 0;
  std::string adminUrl_;
};

}  // namespace counterfoil::cmd::bench
