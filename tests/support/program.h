// Any program as a process with pipes on its standard streams, started as a service manager would: its own folder, environment and sockets.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace counterfoil::test {

// The path of a program that PATH has; empty if it has none of that name.
inline std::string findProgram(const std::string& name) {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string candidate = std::string(rest.substr(0, end)) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

struct ProgramOptions {
  std::vector<std::string> environment;  // "NAME=value", before what the surroundings have; COUNTERFOIL_* of those are not handed on
  std::filesystem::path folder;          // to run in; empty: this one
  std::vector<int> sockets;              // passed on as descriptors 3, 4, ... with LISTEN_FDS and LISTEN_PID (sd_listen_fds(3))
  bool socketsForAnother = false;        // LISTEN_PID names another process
  bool dumpsCore = false;
};

// Owned by one thread. Its descriptors and the process end with the object.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments, const ProgramOptions& options = {}) {
    int input[2], output[2], problems[2];
    if (::pipe2(input, O_CLOEXEC) != 0 || ::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(problems, O_CLOEXEC) != 0) {
      throw std::runtime_error("no pipes for a process");
    }
    std::vector<std::string> variables = options.environment;
    // Its number is known only in the process itself, where nothing may be allocated.
    std::string listenPid = "LISTEN_PID=" + std::string(24, '\0');
    if (!options.sockets.empty()) variables.push_back("LISTEN_FDS=" + std::to_string(options.sockets.size()));
    for (char** variable = environ; *variable != nullptr; ++variable) {
      if (std::strncmp(*variable, "COUNTERFOIL_", 12) != 0) variables.emplace_back(*variable);
    }
    const std::vector<char*> argv = pointersOf(arguments);
    std::vector<char*> envp = pointersOf(variables);
    if (!options.sockets.empty()) envp.insert(envp.begin(), listenPid.data());
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("cannot start a process");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that dies takes its processes with it
      ::dup2(input[0], STDIN_FILENO);
      ::dup2(output[1], STDOUT_FILENO);
      ::dup2(problems[1], STDERR_FILENO);
      std::snprintf(listenPid.data() + 11, 24, "%ld", static_cast<long>(::getpid()) + (options.socketsForAnother ? 1 : 0));
      become(argv, envp, options);
    }
    for (const int descriptor : {input[0], output[1], problems[1]}) ::close(descriptor);
    in_ = input[1];
    out_ = output[0];
    error_ = problems[0];
    for (const int descriptor : {in_, out_, error_}) ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~Program() {
    if (!reaped_) {
      ::kill(pid_, SIGKILL);
      reap();
    }
    for (int* descriptor : {&in_, &out_, &error_}) closeOne(*descriptor);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  // Everything read so far; callers may take it away.
  std::string out;
  std::string error;

  void signal(int number) { ::kill(pid_, number); }
  void closeInput() { closeOne(in_); }

  // Writes all of it to its standard input, reading meanwhile. False if it does not take it, or not within `timeoutMs`.
  bool send(std::string_view bytes, int timeoutMs = 30'000) {
    return until(
               [&] {
                 if (in_ < 0) return true;
                 const ssize_t count = ::write(in_, bytes.data(), bytes.size());
                 if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
                 if (count < 0 && errno != EAGAIN) closeOne(in_);
                 return bytes.empty() || in_ < 0;
               },
               timeoutMs) &&
           bytes.empty();
  }

  // Reads until `met` is; false after `timeoutMs`, or when both outputs are at their end and it is not.
  bool until(const std::function<bool()>& met, int timeoutMs = 30'000) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeoutMs);
    for (;;) {
      if (met()) return true;
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      if ((out_ < 0 && error_ < 0) || left <= 0) return false;
      pollfd polled[2] = {{out_, POLLIN, 0}, {error_, POLLIN, 0}};
      // Conditions may concern more than these two streams: looked at again soon.
      if (::poll(polled, 2, static_cast<int>(std::min<std::int64_t>(left, 20))) <= 0) continue;
      if (polled[0].revents != 0) readSome(out_, out);
      if (polled[1].revents != 0) readSome(error_, error);
    }
  }
  bool untilError(std::string_view text, int timeoutMs = 30'000) {
    return until([&] { return error.find(text) != std::string::npos; }, timeoutMs);
  }

  // Reads to the end and waits for its exit: the exit status, or 128 + the signal that ended it. Throws after `timeoutMs`.
  int finish(int timeoutMs = 60'000) {
    const auto ended = [this] { return reaped_ || ::waitpid(pid_, &status_, WNOHANG) == pid_; };
    if (until([&] { return reaped_ = ended(); }, timeoutMs)) {
      until([] { return false; }, 1'000);
    } else if (!reaped_) {
      if (out_ >= 0 || error_ >= 0) throw std::runtime_error("a process does not end; its standard error so far: " + error);
      reap();
    }
    return WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_);
  }

 private:
  static std::vector<char*> pointersOf(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  }

  // In the new process: allocates nothing, returns never.
  [[noreturn]] static void become(const std::vector<char*>& argv, const std::vector<char*>& envp, const ProgramOptions& options) {
    constexpr int kFirstPassed = 3;
    constexpr int kOutOfTheWay = 200;
    int passed = kFirstPassed;
    for (const int socket : options.sockets) {
      const int moved = ::fcntl(socket, F_DUPFD_CLOEXEC, kOutOfTheWay);
      ::dup2(moved, passed++);
    }
    if (options.dumpsCore) {
      const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
      if (::setrlimit(RLIMIT_CORE, &all) != 0) ::_exit(126);
    }
    if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(126);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }

  static void closeOne(int& descriptor) {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
  }

  void reap() {
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
  }

  static void readSome(int& descriptor, std::string& into) {
    char buffer[65'536];
    for (;;) {
      const ssize_t count = ::read(descriptor, buffer, sizeof(buffer));
      if (count > 0) {
        into.append(buffer, static_cast<std::size_t>(count));
      } else {
        if (count == 0 || (errno != EAGAIN && errno != EINTR)) closeOne(descriptor);
        return;
      }
    }
  }

  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int error_ = -1;
  int status_ = 0;
  bool reaped_ = false;
};

}  // namespace counterfoil::test
